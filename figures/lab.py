"""Take the README's picture of the lab: the live view itself, in a headless Chromium.

`make figures` runs it. Pixels differ a little from machine to machine, so no test compares them.
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

from masklab.labs import attention_padding
from masklab.view.plain_page import FLAGS, chromium_path, html

TARGET = Path(__file__).with_suffix(".png")


def main() -> None:
    """Open the lab of lesson 05 at first sight, choose the query "ate" and the key [PAD], and photograph it."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        page = chromium.new_page(viewport={"width": 1080, "height": 1000}, device_scale_factor=1.5)
        page.set_content(html(attention_padding.lab()))
        page.evaluate("() => started")
        page.locator("[data-name=weights] .mlab-cell").nth(2 * 5 + 3).click()
        page.mouse.move(0, 0)  # what was clicked stays chosen
        page.locator(".mlab-root").screenshot(path=TARGET)
        chromium.close()
    print(f"figures/{TARGET.name}: the lab of lesson 05")


if __name__ == "__main__":
    main()
