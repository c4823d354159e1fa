"""A real browser for tests: an installed Chromium, or one that scripts/get-browser.sh fetches."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright, expect

ROOT = Path(__file__).parents[1]
PACKAGED = ROOT / ".tools" / "browser" / "files"
INSTALLED = ("chromium", "chromium-browser", "google-chrome")

# Pages bring themselves up to date every two seconds; a busy machine takes longer.
expect.set_options(timeout=20_000)


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start a headless browser; a machine without one fails the test and says what to do."""
    program, environment = find_browser()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            # Containers run tests as root, for whom the sandbox does not start.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env={**os.environ, **environment},
        )
        try:
            yield browser
        finally:
            await browser.close()


def find_browser() -> tuple[str, dict[str, str]]:
    """Return a browser's program and what its environment needs."""
    if named := os.environ.get("CHROMIUM"):
        return named, {}
    for name in INSTALLED:
        if found := shutil.which(name):
            return found, {}
    script = ["sh", str(ROOT / "scripts" / "get-browser.sh")]
    fetched = subprocess.run(script, capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise RuntimeError(f"the browser tests need a browser\n{fetched.stderr}")
    return str(PACKAGED / "chromium"), {
        "LD_LIBRARY_PATH": str(PACKAGED / "lib"),
        "XDG_CACHE_HOME": str(PACKAGED / "cache"),
        "FONTCONFIG_FILE": str(PACKAGED / "fonts.conf"),
    }
