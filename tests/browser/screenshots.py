"""Pictures of the pages, kept for people to look at: CI keeps the folder as an artifact."""

from playwright.sync_api import Page

from scripts import paths

FOLDER = paths.BUILD / "test-artifacts" / "pages"
VIEWPORTS = {"desk": (1280, 900), "phone": (360, 740)}  # width and height in CSS pixels


def keep(page: Page, name: str, *, whole: bool = False) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)


def assert_fits(page: Page) -> None:
    """Nothing makes the page wider than its window: wide parts scroll by themselves."""
    widest = page.evaluate("document.documentElement.scrollWidth")
    assert widest <= page.viewport_size["width"], f"{page.url} is {widest} px wide"


def assert_legible(page: Page) -> None:
    """All text has the contrast that WCAG 2 asks for (AA): 4.5 to 1, or 3 to 1 where it is large."""
    faint = page.evaluate(_FAINT)
    assert not faint, f"{page.url}: {faint}"


# Texts whose contrast is too low, each with its ratio.
_FAINT = """() => {
  const parse = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (upper, lower) => [0, 1, 2].map((i) => upper[i] * upper[3] + lower[i] * (1 - upper[3])).concat(1);
  const channel = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.unshift(parse(getComputedStyle(one).backgroundColor));
    return layers.reduce((base, layer) => over(layer, base), [255, 255, 255, 1]);
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("title, desc")) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const front = over(parse(element.closest("svg") ? style.fill : style.color), back);
    const [light, dark] = [luminance(front), luminance(back)].sort((one, other) => other - one);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
