"""What axe-core finds on each kind of page, in a real browser, in both colour schemes and as narrow as Chromium goes."""

import html
import json
import re
import shutil
from importlib.resources import files

import pytest

from test_pages import records, site  # noqa: F401
from test_site import dump, needs_chromium, with_script

KINDS = (
    "index.html",
    "rules.html",
    "search.html",
    "data.html",
    "tasks/*.html",
    "methods/sfron.html",
    "rows/*sfron*.html",
    "docs/protocol.html",
)
VIEWS = {
    "light": ["--window-size=1400,900"],
    "dark": ["--window-size=1400,900", "--blink-settings=preferredColorScheme=0"],
    "narrow": ["--window-size=500,844"],
}
FOUND = """<script>
addEventListener("load", async () => {
  const { violations } = await axe.run();
  const found = violations.map((one) => [one.id, one.impact, one.nodes[0].html]);
  document.body.innerHTML = '<pre id="axe"></pre>';
  document.getElementById("axe").textContent = JSON.stringify(found);
});
</script>"""


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing(site, tmp_path, kind, view):
    shutil.copytree(site, tmp_path / "site")
    page = next((tmp_path / "site").glob(kind))
    shutil.copy(files("axe_core_python") / "axe.min.js", page.parent)
    with_script(page, f'<script src="axe.min.js"></script>{FOUND}')
    dumped = dump(page, tmp_path, "--virtual-time-budget=60000", *VIEWS[view])
    (found,) = re.findall(r'<pre id="axe">(.*?)</pre>', dumped)
    assert json.loads(html.unescape(found)) == []
