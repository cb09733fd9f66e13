"""Signing in through an OpenID Connect provider, and what the labels then carry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from db.store import Store
from jobs.serve import secrets_flags
from tests.browser.browsing import settle
from tests.browser.serving import Served, serve
from tests.loopback.provider import CLIENT_ID, Person, Provider
from tests.store_factory import fill

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)

ANN = Person("1001", email="ann@example.org", name="Ann Example")
BOB = Person("1002", name="Bob Example")  # keeps the address to himself
SHOWN = ".desk:not([data-item=''])"
SAID = "SELECT labeller, kind FROM labels ORDER BY labelled_at"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider([ANN, BOB]) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Served]:
    """A dashboard whose home names the provider, passed on as `skysieve serve` does."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    with Store.open(folder / "home") as store:
        fill(store, frames=4, per_frame=4)
    secrets = folder / "home" / "secrets.toml"
    secrets.write_text(provider.secrets_for("http://127.0.0.1:{port}"), encoding="utf-8")
    flags = [f"--{name}={value}" for name, value in secrets_flags(folder / "home").items()]
    with serve(folder / "home", folder / "server.log", flags) as served:
        yield served


def sign_in(page: Page, who: Person) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Who are you?").wait_for()
    page.get_by_role("link", name=f"I am {who.name}").click()


def label_one(page: Page, key: str) -> str:
    page.locator(SHOWN).wait_for()
    item = str(page.locator(SHOWN).get_attribute("data-item"))
    page.keyboard.press(key)
    expect(page.locator(".desk")).not_to_have_attribute("data-item", item)
    expect(page.locator(".desk")).to_have_attribute("data-unsent", "0")
    return item


def test_a_label_carries_who_signed_in_and_no_typed_name(
    page: Page, guarded: Served, provider: Provider
) -> None:
    page.goto(f"{guarded.address}/verify?labeller=mallory&queue=random")
    settle(page, "Verify")
    expect(page.get_by_role("textbox", name="Your name")).to_have_count(0)
    expect(page.locator(".desk")).to_have_count(0)
    sign_in(page, ANN)
    # Back where the button was, not on the first page.
    settle(page, "Verify")
    expect(page).to_have_url(f"{guarded.address}/verify?queue=random&view=label")
    expect(page.get_by_text(f"{ANN.email}: 0 labelled")).to_be_visible()
    item = label_one(page, "a")
    rows = guarded.query("SELECT labeller, detection_id, kind FROM labels")
    assert rows == [[ANN.email, item, "astrophysical"]]
    (token,) = provider.issued
    assert (token["aud"], token["sub"]) == (CLIENT_ID, ANN.subject)
    assert provider.refused == []
    # The bar for many takes the same person, and offers no other name.
    page.goto(f"{guarded.address}/anomalies")
    settle(page, "Anomalies")
    page.get_by_role("button", name="Label", exact=True).click()
    field = page.get_by_role("textbox", name="Who labels")
    expect(field).to_have_value(ANN.email)
    expect(field).to_be_disabled()
    # Signing out ends the session there and here; another person is another labeller.
    page.goto(f"{guarded.address}/verify?queue=random")
    settle(page, "Verify")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.locator(".desk")).to_have_count(0)
    assert "/end" in provider.asked
    page.reload()
    settle(page, "Verify")
    sign_in(page, BOB)
    settle(page, "Verify")
    label_one(page, "b")
    assert guarded.query(SAID) == [[ANN.email, "astrophysical"], [BOB.name, "boring"]]


def test_without_a_provider_a_typed_name_is_used(page: Page, filled: Served) -> None:
    page.goto(f"{filled.address}/verify?queue=random")
    settle(page, "Verify")
    expect(page.get_by_role("button", name="Sign in")).to_have_count(0)
    page.get_by_role("textbox", name="Your name").fill("typed by hand")
    page.get_by_role("button", name="Begin").click()
    item = label_one(page, "u")
    said = "SELECT detection_id FROM labels WHERE labeller = 'typed by hand'"
    assert filled.query(said) == [[item]]
    page.get_by_role("button", name="Not me").click()
    expect(page.get_by_role("textbox", name="Your name")).to_be_visible()
