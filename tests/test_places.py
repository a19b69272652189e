"""The environment variables that a user can set, and what follows from them."""

from pathlib import Path

import pytest

from unlearnbench.benchmark.records import places


def test_the_cache_lies_where_the_desktop_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert places.cache_folder() == tmp_path / "unlearnbench"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert places.cache_folder() == Path.home() / ".cache" / "unlearnbench"


def test_a_variable_that_is_empty_is_not_set(monkeypatch, tmp_path):
    for variable, folder in ((places.ASSETS, places.assets_folder), (places.DATA, places.data_folder)):
        monkeypatch.setenv(variable, str(tmp_path))
        assert folder() == tmp_path
        monkeypatch.setenv(variable, "")
        assert folder() is None
        monkeypatch.delenv(variable)
        assert folder() is None


def test_the_first_copy_of_the_data_that_is_there_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv(places.DATA, str(tmp_path))
    assert places.data_copy("big", "small") is None
    (tmp_path / "small").mkdir()
    assert places.data_copy("big", "small") == tmp_path / "small"
    (tmp_path / "big").mkdir()
    assert places.data_copy("big", "small") == tmp_path / "big"


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("ON", True), ("yes", True), ("0", False), ("", False)])
def test_offline_is_what_the_hubs_library_takes_for_it(monkeypatch, value, offline):
    monkeypatch.setenv(places.OFFLINE, value)
    assert places.is_offline() is offline


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_a_folder_for_assets_holds_as_long_as_it_is_asked_for(monkeypatch, tmp_path, before):
    monkeypatch.delenv(places.ASSETS, raising=False)
    if before is not None:
        monkeypatch.setenv(places.ASSETS, before)
    found = places.assets_folder()

    def fail_inside():
        with places.assets_only_in(tmp_path):
            assert places.assets_folder() == tmp_path
            raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        fail_inside()
    assert places.assets_folder() == found
    with places.assets_only_in(None):
        assert places.assets_folder() == found
