//! Faults of files, with their places: [`Diagnostic`] and the text that it points into, [`SourceText`].
//!
//! A fault is data until somebody prints it: loaders collect all faults of all files and give them
//! back as a list. `Display` is one line (`file:line:column: message`), [`Diagnostic::render`] shows
//! the source.
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The text of a file under the name that a reader sees.
#[derive(Debug)]
pub struct SourceText {
    name: String,
    text: String,
    /// Byte offset of the first byte of each line.
    line_starts: Vec<usize>,
}

impl SourceText {
    /// Takes the name to show and the whole text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<SourceText> {
        let text = text.into();
        let after_breaks =
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Arc::new(SourceText { name: name.into(), text, line_starts })
    }

    /// The name to show, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of a byte offset, from 1; offsets behind the end give the last line.
    pub fn line(&self, offset: usize) -> u32 {
        let lines_begun = self.line_starts.partition_point(|start| *start <= offset);
        u32::try_from(lines_begun).unwrap_or(u32::MAX)
    }

    /// The column of a byte offset in its line, in characters from 1.
    pub fn column(&self, offset: usize) -> u32 {
        let lines_begun = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(lines_begun.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..self.floor(offset)).unwrap_or("");
        u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX)
    }

    /// `offset`, or the start of the character that it stands in, or the end of the text.
    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// `span` cut down to what exists, ends at the end of its first line, and shows at least one column.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let (start, end) = (self.floor(span.start), self.floor(span.end));
        let line_length = self.text[start..].find('\n').unwrap_or(self.text.len() - start);
        start..end.clamp(start, start + line_length)
    }
}

/// Severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiagnosticSeverity {
    /// Worth knowing; nothing stops because of it.
    Warning,
    /// The file cannot be used as it is.
    Error,
}

/// A place in a file with a few words on it.
#[derive(Debug, Clone)]
pub struct Label {
    pub source: Arc<SourceText>,
    /// Bytes of its text.
    pub span: Range<usize>,
    /// Shown beside the place; may be empty.
    pub text: String,
}

/// One fault of a file.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// The name of the file, also where there is no text to point into.
    pub name: String,
    /// The problem, as one sentence without a full stop.
    pub message: String,
    /// Error or warning.
    pub severity: DiagnosticSeverity,
    /// Place, unless it concerns the file as a whole; boxed, so that a diagnostic stays small
    /// enough to be an error by value.
    pub primary: Option<Box<Label>>,
    /// Other places that matter, in this file or another one.
    pub others: Vec<Label>,
    /// Advice for fixing it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault of a file as a whole, or of one that could not be read.
    pub fn in_file(name: impl Into<String>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            name: name.into(),
            message: message.into(),
            severity: DiagnosticSeverity::Error,
            primary: None,
            others: Vec::new(),
            help: None,
        }
    }

    /// A fault at bytes of a text.
    pub fn at_span(
        source: &Arc<SourceText>,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Diagnostic {
        let label = Label { source: source.clone(), span, text: String::new() };
        Diagnostic { primary: Some(Box::new(label)), ..Diagnostic::in_file(source.name(), message) }
    }

    /// Says a few words at the primary place; nothing happens where there is none.
    pub fn with_label(mut self, text: impl Into<String>) -> Diagnostic {
        if let Some(label) = &mut self.primary {
            label.text = text.into();
        }
        self
    }

    /// Adds another place in the same file; nothing happens where the fault has no place.
    pub fn with_other(mut self, span: Range<usize>, text: impl Into<String>) -> Diagnostic {
        if let Some(label) = &self.primary {
            let source = label.source.clone();
            self.others.push(Label { source, span, text: text.into() });
        }
        self
    }

    /// Adds another place in whichever file.
    pub fn with_other_label(mut self, label: Label) -> Diagnostic {
        self.others.push(label);
        self
    }

    /// Says what to do about it.
    pub fn with_help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// Makes it one that stops nothing.
    pub fn into_warning(mut self) -> Diagnostic {
        self.severity = DiagnosticSeverity::Warning;
        self
    }
    /// The line from 1; 1 where the fault concerns the file as a whole.
    pub fn line(&self) -> u32 {
        self.primary.as_ref().map_or(1, |l| l.source.line(l.span.start))
    }

    /// The column in characters from 1; 1 where the fault concerns the file as a whole.
    pub fn column(&self) -> u32 {
        self.primary.as_ref().map_or(1, |l| l.source.column(l.span.start))
    }

    /// Several lines that show the fault in its source, without a final line break.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            DiagnosticSeverity::Error => Level::ERROR,
            DiagnosticSeverity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let group = match &self.primary {
            Some(primary) => title.elements(self.snippets(primary)),
            None => title.element(Origin::path(self.name.as_str())),
        };
        let help = self.help.as_deref().map(|h| Level::HELP.message(h));
        let report: &[Group] = &[match help {
            Some(help) => group.element(help),
            None => group,
        }];
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(report)
    }

    /// One snippet for each file that a label points into, the primary one first.
    fn snippets<'a>(&'a self, primary: &'a Label) -> Vec<Snippet<'a, Annotation<'a>>> {
        let others = self.others.iter().map(|label| (AnnotationKind::Context, label));
        let mut files: Vec<(&'a SourceText, Vec<Annotation<'a>>)> = Vec::new();
        for (kind, label) in std::iter::once((AnnotationKind::Primary, primary)).chain(others) {
            let (file, annotation) = (label.source.as_ref(), annotation(kind, label));
            match files.iter_mut().find(|(known, _)| std::ptr::eq(*known, file)) {
                Some((_, annotations)) => annotations.push(annotation),
                None => files.push((file, vec![annotation])),
            }
        }
        let snippet = |(file, annotations): (&'a SourceText, _)| {
            Snippet::source(file.text()).path(file.name().to_owned()).annotations(annotations)
        };
        files.into_iter().map(snippet).collect()
    }
}

fn annotation<'a>(kind: AnnotationKind, label: &'a Label) -> Annotation<'a> {
    let annotation = kind.span(label.source.visible(&label.span));
    match label.text.as_str() {
        "" => annotation,
        text => annotation.label(text),
    }
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: message`; without a place only `file: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.primary {
            Some(_) => {
                write!(f, "{}:{}:{}: {}", self.name, self.line(), self.column(), self.message)
            }
            None => write!(f, "{}: {}", self.name, self.message),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// The known word that a wrong one was probably meant to be, or none if nothing is near.
///
/// Near means: equal but for case, or at most a third of its characters to change.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).max(1);
    let distance = |word: &str| match word.eq_ignore_ascii_case(wrong) {
        true => 0,
        false => strsim::damerau_levenshtein(wrong, word),
    };
    known
        .into_iter()
        .map(|word| (distance(word), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Arc<SourceText> {
        SourceText::new("cases/a.yaml", "id: é\nstatus: 200\nbody:\n  status: 201\n")
    }

    #[test]
    fn places_are_counted_in_lines_and_characters_from_one() {
        let text = text();
        assert_eq!((text.line(0), text.column(0)), (1, 1));
        let second = text.text().find("status").unwrap();
        assert_eq!((text.line(second), text.column(second)), (2, 1));
        let end_of_first = second - 1;
        assert_eq!((text.line(end_of_first), text.column(end_of_first)), (1, 6), "é is one column");
        assert_eq!(text.line(10_000), 5);
    }

    #[test]
    fn one_line_names_file_line_and_column() {
        let fault = Diagnostic::at_span(&text(), 15..18, "not a status");
        assert_eq!(fault.to_string(), "cases/a.yaml:2:9: not a status");
        assert_eq!(Diagnostic::in_file("x.yaml", "is empty").to_string(), "x.yaml: is empty");
    }

    #[test]
    fn rendering_shows_both_places_and_the_help() {
        let fault = Diagnostic::at_span(&text(), 27..33, "duplicate key `status`")
            .with_label("again here")
            .with_other(7..13, "first written here")
            .with_help("remove one of them");
        let shown = fault.render(false);
        for part in
            ["duplicate key `status`", "cases/a.yaml:4:3", "again here", "first written here"]
        {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
        assert!(shown.contains("help: remove one of them"), "{shown}");
        assert!(!shown.contains('\u{1b}'));
        assert!(fault.render(true).contains('\u{1b}'));
    }

    #[test]
    fn rendering_points_into_two_files() {
        let other = SourceText::new("cases/b.yaml", "id: x\n");
        let fault = Diagnostic::at_span(&text(), 0..2, "id used twice").with_other_label(Label {
            source: other,
            span: 0..5,
            text: "also here".into(),
        });
        let shown = fault.render(false);
        assert!(shown.contains("cases/a.yaml:1:1") && shown.contains("cases/b.yaml"), "{shown}");
    }

    #[test]
    fn rendering_survives_spans_that_do_not_fit() {
        for span in [0..10_000, 5_000..6_000, 5..6, Range { start: 38, end: 2 }] {
            let shown = Diagnostic::at_span(&text(), span, "odd").render(false);
            assert!(shown.contains("odd"));
        }
        let empty = SourceText::new("empty.yaml", "");
        assert!(Diagnostic::at_span(&empty, 0..0, "odd").render(false).contains("empty.yaml"));
    }

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let known = ["status", "headers", "body"];
        assert_eq!(did_you_mean("statsu", known), Some("status"));
        assert_eq!(did_you_mean("BODY", known), Some("body"));
        assert_eq!(did_you_mean("cookie", known), None);
        assert_eq!(did_you_mean("", known), None);
    }
}
