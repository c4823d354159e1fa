"""The dashboard in a real browser: it keeps itself up to date, and text stays text."""

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.browser


async def test_a_new_instance_appears_in_the_list_by_itself(page: Page, start) -> None:
    await page.goto("/hubs/default?prefix=appears")
    await expect(page.get_by_text("No instance matches.")).to_be_visible()
    start("waits", instance_id="appears-1")
    await expect(page.get_by_role("link", name="appears-1")).to_be_visible()


async def test_what_is_being_typed_survives_a_refresh(page: Page, start) -> None:
    await page.goto("/hubs/default?prefix=typed")
    await page.get_by_label("Id begins with").fill("typed-abc")
    start("waits", instance_id="typed-1")
    await expect(page.get_by_role("link", name="typed-1")).to_be_visible()
    await expect(page.get_by_label("Id begins with")).to_have_value("typed-abc")


async def test_an_instance_page_follows_the_instance_to_its_end(page: Page, start, go) -> None:
    urls = start("waits", instance_id="followed")
    await page.goto("/hubs/default/instances/followed")
    await expect(page.locator(".status")).to_have_text("Running")
    go(urls)
    await expect(page.locator(".status")).to_have_text("Completed")
    await expect(page.locator("#content")).to_have_attribute("data-live", "no")


async def test_what_was_folded_open_stays_open_over_a_refresh(page: Page, start, go) -> None:
    urls = start("waits", "x" * 500, "folded")
    await page.goto("/hubs/default/instances/folded")
    await page.locator("details summary").first.click()
    go(urls)
    await expect(page.locator(".status")).to_have_text("Completed")
    await expect(page.locator("details").first).to_have_attribute("open", "")


async def test_markup_in_an_id_and_a_payload_is_shown_as_text(page: Page, ended) -> None:
    markup = "<img src=x onerror=document.title='got through'>"
    ended("fails", markup, "%3Cimg%20src=x%20onerror=document.title=1%3E")
    await page.goto("/hubs/default?prefix=%3Cimg")
    await page.get_by_role("link", name="<img src=x").click()
    await expect(page.locator("pre.failure")).to_contain_text(markup)
    assert await page.locator("img").count() == 0
    assert "fails <img" in await page.title()


async def test_filters_are_used_from_the_form(page: Page, ended) -> None:
    ended("doubled", 1, "form-done")
    ended("fails", "it", "form-failed")
    await page.goto("/hubs/default")
    await page.get_by_label("Status").select_option("Failed")
    await page.get_by_label("Id begins with").fill("form-")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("td.id")).to_have_text(["form-failed"])
