// What the page can do beyond being read. Every part works on what the HTML already holds, and on
// the one block of data; nothing is fetched but the codes of a run that a person chooses.
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const isDark = matchMedia("(prefers-color-scheme: dark)");
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const theme = () => (isDark.matches ? "dark" : "light");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// What is searched for: phrases between commas, each of which has to be found.
const plain = (text) => text.toLowerCase().replace(/\s+/g, " ");
const phrases = (text) => plain(text).split(",").map((part) => part.trim()).filter(Boolean);

let toastTimer;
function say(text) {
  one("#toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { one("#toast").textContent = ""; }, 2500);
}

async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some browsers give pages of a disk no clipboard; a selected text can be copied in all.
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`${name} copied`);
}

function choose(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => element("option", { value, textContent: text })));
  if (values.some(([value]) => String(value) === String(chosen))) select.value = chosen;
}
