"""A page as a browser without a window shows it."""

import html
import json
import re
import shutil
import subprocess

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell")
_PROBE = """<script>addEventListener("load", () => {
  const images = [...document.images], told = document.createElement("pre");
  told.id = "told";
  told.textContent = JSON.stringify({
    images: images.length,
    shown: images.filter(image => image.naturalWidth > 0).length,
    headings: [...document.querySelectorAll("h2")].map(heading => heading.textContent),
    too_wide: document.documentElement.scrollWidth > innerWidth,
    fetched: performance.getEntriesByType("resource").map(entry => entry.name)
      .filter(name => !name.startsWith("data:")),
  });
  document.body.append(told);
})</script></html>"""


def find_browser():
    """Path of a Chromium; None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def open_page(page, folder):
    """What a Chromium tells of a page: its images, headings, width, and what it fetched."""
    probed = folder / "probed.html"
    probed.write_text(page.read_text().replace("</html>", _PROBE))
    command = [find_browser(), "--headless", "--no-sandbox", "--disable-gpu",
               f"--user-data-dir={folder / 'profile'}", "--dump-dom", probed.as_uri()]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    (told,) = re.findall(r'<pre id="told">(.*?)</pre>', run.stdout)
    return json.loads(html.unescape(told))
