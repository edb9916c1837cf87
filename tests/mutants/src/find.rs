//! Mutants of a file: small changes that a test should notice, found in its syntax. Pure.
use proc_macro2::Span;
use std::ops::Range;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Attribute, BinOp, Expr, ExprBinary, GenericArgument, PathArguments, ReturnType, Type, UnOp,
};

/// One change of a file.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// From 1.
    pub line: usize,
    /// The function that it is in.
    pub function: String,
    /// What is there, and what is put in its place.
    pub change: String,
    pub edit: Edit,
}

/// How a change is made; places are offsets in bytes.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A function returns this at once; the place is the start of its body.
    Return(usize, String),
    /// An expression with another in its place.
    Replace(Range<usize>, String),
    /// An arm of a `match` that is never taken; the place is the end of its pattern.
    Arm(usize),
    /// A guard that always holds, or never.
    Guard(Range<usize>, bool),
}

/// Finds the mutants of a file.
///
/// # Errors
/// A text that is no Rust.
pub fn mutants(text: &str) -> syn::Result<Vec<Mutant>> {
    let file = syn::parse_file(text)?;
    let mut finder = Finder { text, scope: Vec::new(), found: Vec::new() };
    finder.visit_file(&file);
    Ok(finder.found)
}

struct Finder<'t> {
    text: &'t str,
    scope: Vec<String>,
    found: Vec<Mutant>,
}

impl Finder<'_> {
    fn source(&self, span: Span) -> &str {
        self.text.get(span.byte_range()).unwrap_or_default()
    }

    fn add(&mut self, span: Span, change: String, edit: Edit) {
        let change = change.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = span.start().line;
        self.found.push(Mutant { line, function: self.scope.join("::"), change, edit });
    }

    fn function(
        &mut self,
        signature: &syn::Signature,
        block: &syn::Block,
        attributes: &[Attribute],
    ) {
        // A `default` of nothing but defaults calls itself.
        if is_test(attributes) || signature.constness.is_some() || signature.ident == "default" {
            return;
        }
        self.scope.push(signature.ident.to_string());
        let start = block.brace_token.span.open().byte_range().end;
        for value in values(&signature.output) {
            let change = format!("returns {value}");
            self.add(
                signature.ident.span(),
                change,
                Edit::Return(start, format!("return {value};")),
            );
        }
        visit::visit_block(self, block);
        self.scope.pop();
    }

    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.scope.push(name);
        visit(self);
        self.scope.pop();
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::NameValue(_) => false,
    })
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        if is_test(&item.attrs) {
            return;
        }
        let of = self.source(item.self_ty.span()).split('<').next().unwrap_or_default().to_owned();
        let of = match &item.trait_ {
            Some((_, path, _)) => format!("{of} as {}", self.source(path.span())),
            None => of,
        };
        self.within(of, |finder| visit::visit_item_impl(finder, item));
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.sig, &item.block, &item.attrs);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.sig, &item.block, &item.attrs);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block, &item.attrs);
        }
    }

    // What has to be constant cannot ask for the mutant.
    fn visit_item_const(&mut self, _: &'a syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'a syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'a syn::ImplItemConst) {}
    fn visit_type(&mut self, _: &'a Type) {}
    fn visit_pat(&mut self, _: &'a syn::Pat) {}
    fn visit_attribute(&mut self, _: &'a Attribute) {}

    fn visit_expr_binary(&mut self, expr: &'a ExprBinary) {
        let is_let = |side: &Expr| {
            matches!(side, Expr::Let(_)) || self.source(side.span()).starts_with("let ")
        };
        if !is_let(&expr.left) && !is_let(&expr.right) {
            let (left, right) = (expr.left.span(), expr.right.span());
            let range = left.byte_range().start..right.byte_range().end;
            let operator = self.source(expr.op.span()).to_owned();
            for other in others(&expr.op) {
                let (left, right) = (self.source(left), self.source(right));
                let change = format!("{left} {operator} {right} → {other}");
                let changed = format!("{left} {other} {right}");
                self.add(expr.op.span(), change, Edit::Replace(range.clone(), changed));
            }
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'a syn::ExprUnary) {
        if matches!(expr.op, UnOp::Not(_)) {
            let inner = self.source(expr.expr.span()).to_owned();
            let range = expr.op.span().byte_range().start..expr.expr.span().byte_range().end;
            self.add(expr.op.span(), format!("!{inner} → without !"), Edit::Replace(range, inner));
        }
        visit::visit_expr_unary(self, expr);
    }

    fn visit_expr_match(&mut self, expr: &'a syn::ExprMatch) {
        let is_any = |arm: &syn::Arm| arm.guard.is_none() && matches!(arm.pat, syn::Pat::Wild(_));
        let has_wildcard = expr.arms.iter().any(is_any);
        for arm in &expr.arms {
            let pattern = self.source(arm.pat.span()).to_owned();
            let guard = arm.guard.as_ref().map(|(_, guard)| guard.span());
            if let Some(guard) = guard {
                for holds in [true, false] {
                    let change = format!("{pattern} if {} → {holds}", self.source(guard));
                    self.add(guard, change, Edit::Guard(guard.byte_range(), holds));
                }
            } else if has_wildcard && !is_any(arm) {
                let edit = Edit::Arm(arm.pat.span().byte_range().end);
                self.add(arm.pat.span(), format!("arm {pattern} → none"), edit);
            }
        }
        visit::visit_expr_match(self, expr);
    }
}

/// The operators that are put in the place of one.
fn others(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["*", "%"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::BitAndAssign(_) => &["|="],
        BinOp::BitOrAssign(_) => &["&="],
        _ => &[],
    }
}

/// Values that a function of this type could return at once. Some do not compile; they are dropped.
fn values(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec!["()".to_owned()],
        ReturnType::Type(_, of) => values_of(of),
    }
}

fn values_of(of: &Type) -> Vec<String> {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let path = match of {
        Type::Path(path) => &path.path,
        Type::Reference(inner) => {
            return match &*inner.elem {
                Type::Path(path) if path.path.is_ident("str") => owned(&["\"\"", "\"xyzzy\""]),
                Type::Slice(_) => owned(&["&[]"]),
                _ => Vec::new(),
            };
        }
        Type::Tuple(tuple) if tuple.elems.is_empty() => return owned(&["()"]),
        Type::Tuple(_) => return owned(&["Default::default()"]),
        _ => return Vec::new(),
    };
    let Some(last) = path.segments.last() else { return Vec::new() };
    let argument = || match &last.arguments {
        PathArguments::AngleBracketed(list) => list.args.iter().find_map(|one| match one {
            GenericArgument::Type(of) => Some(of),
            _ => None,
        }),
        _ => None,
    };
    let inner = || argument().map_or_else(Vec::new, values_of);
    let wrapped = |name: &str| {
        inner().into_iter().map(|value| format!("{name}({value})")).collect::<Vec<_>>()
    };
    match last.ident.to_string().as_str() {
        "bool" => owned(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" | "isize" => owned(&["0", "1"]),
        "String" => owned(&["String::new()", "\"xyzzy\".to_owned()"]),
        "Option" => [owned(&["None"]), wrapped("Some")].concat(),
        "Result" => match argument() {
            // `fmt::Result`
            None => owned(&["Ok(())"]),
            Some(_) => wrapped("Ok"),
        },
        "Vec" => {
            let one = inner().into_iter().map(|value| format!("vec![{value}]"));
            owned(&["Vec::new()"]).into_iter().chain(one).collect()
        }
        _ => owned(&["Default::default()"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_found_with_their_function_and_line() {
        let text = "impl X { fn f(&self) -> Option<bool> {\n  let n = !self.a && b <= 1;\n  \
                    match n { true if c => None, 2 => None, _ => g(n) }\n} }\n\
                    #[cfg(test)]\nmod tests { fn of() -> bool { a == b } }\nconst C: bool = 1 == 2;";
        let found = mutants(text).unwrap();
        assert!(found.iter().all(|one| one.function == "X::f"));
        let shown: Vec<_> = found.iter().map(|one| (one.line, one.change.as_str())).collect();
        let expected = [
            (1, "returns None"),
            (1, "returns Some(true)"),
            (1, "returns Some(false)"),
            (2, "!self.a && b <= 1 → ||"),
            (2, "!self.a → without !"),
            (2, "b <= 1 → <"),
            (2, "b <= 1 → >"),
            (3, "true if c → true"),
            (3, "true if c → false"),
            (3, "arm 2 → none"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_condition_with_a_binding_is_left_alone() {
        let found = mutants("fn f() { if let Some(x) = y && x == z { g() } }").unwrap();
        let shown: Vec<_> = found.iter().map(|one| one.change.as_str()).collect();
        assert_eq!(shown, ["returns ()", "x == z → !="]);
    }
}
