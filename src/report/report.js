"use strict";
// The page is whole without this script: it adds filters, copying, unfolding and the choice of a theme.
// It takes text of the page as text and never writes markup.
{
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const form = byId("filter");
  const shown = byId("shown");
  root.classList.add("js");

  // --- filters ---

  const items = all("[data-verdict]");
  // Containers stand before what they contain, so that in reverse the innermost comes first.
  const lists = all("[data-list]").reverse();
  const texts = new Map();
  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
    return texts.get(item);
  };
  // Fields that are not set stand in no link.
  const chosen = () => {
    const fields = [...new FormData(form)].map(([name, value]) => [name, value.trim()]);
    return new URLSearchParams(fields.filter(([, value]) => value));
  };
  const isShown = (item, wish, words) =>
    ["area", "level", "verdict"].every((name) => {
      const wanted = wish.getAll(name);
      const has = item.dataset[name].split(" ");
      return !wanted.length || wanted.some((value) => has.includes(value));
    }) &&
    !(wish.has("new") && "known" in item.dataset) &&
    words.every((word) => textOf(item).includes(word));

  const apply = () => {
    const wish = chosen();
    const words = (wish.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) item.hidden = !isShown(item, wish, words);
    // What is not about single things would only stand in between.
    for (const part of all("main > section:not([data-list])")) part.hidden = wish.size > 0;
    for (const list of lists) list.hidden = !list.querySelector("[data-verdict]:not([hidden])");
    const count = (selector) => {
      const found = all(selector);
      return `${found.filter((item) => !item.hidden).length} of ${found.length}`;
    };
    shown.textContent = wish.size
      ? `Shown: ${count("#requirements tr[data-verdict]")} requirements, ` +
        `${count("article[data-verdict]")} findings, ${count("#cases tr[data-verdict]")} cases`
      : "";
    return wish;
  };
  const store = () => {
    const wish = apply().toString();
    history.replaceState(null, "", wish ? `#${wish}` : location.pathname + location.search);
  };
  const fill = (wish) => {
    for (const field of form.elements) {
      if (field.type === "checkbox") field.checked = wish.getAll(field.name).includes(field.value);
      else if (field.name) field.value = wish.get(field.name) ?? "";
    }
  };

  // --- links into the page: a filter, or a place ---

  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash.includes("=")) {
      fill(new URLSearchParams(hash));
      apply();
      return;
    }
    const place = byId(hash);
    if (!place) return;
    if (place.closest("[hidden]")) {
      fill(new URLSearchParams());
      apply();
    }
    const folded = place.closest("details");
    if (folded) folded.open = true;
    place.scrollIntoView();
  };

  form.addEventListener("input", store);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The fields are empty only after the event.
  form.addEventListener("reset", () => setTimeout(store));
  for (const link of all("[data-only]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      fill(new URLSearchParams({ verdict: link.dataset.only }));
      store();
      form.scrollIntoView();
    });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      form.elements.q.focus();
    }
  });

  // --- unfolding, copying, theme ---

  const unfold = byId("unfold");
  unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    unfold.setAttribute("aria-pressed", String(open));
    unfold.textContent = open ? "Fold" : "Unfold";
    for (const part of all("main details")) part.open = open;
  });

  // A page from a plain HTTP server has no clipboard; what is selected can still be copied.
  const copy = async (source) => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  };
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const copied = await copy(button.parentElement.nextElementSibling);
      button.textContent = copied ? "Copied" : "Selected";
      byId("said").textContent = button.textContent;
      setTimeout(() => {
        button.textContent = "Copy";
        byId("said").textContent = "";
      }, 2000);
    });
  }

  // Where nothing may be stored the choice holds for this page.
  const theme = byId("theme");
  const setTheme = (name) => {
    if (name) root.dataset.theme = name;
    else delete root.dataset.theme;
  };
  try {
    theme.value = localStorage.getItem("homespec-theme") ?? "";
  } catch {}
  setTheme(theme.value);
  theme.addEventListener("change", () => {
    setTheme(theme.value);
    try {
      localStorage.setItem("homespec-theme", theme.value);
    } catch {}
  });

  addEventListener("hashchange", follow);
  follow();
}
