"""How the handlers of clouds read URIs, settings and profiles; nobody is asked."""

import os
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import CommError
from holdfast.references import aws_profile, azure, gcs, s3
from holdfast.references.cloud import CloudHandler, ObjectPlace


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prefixes = ("AWS_", "GOOGLE_", "AZURE_", "STORAGE_EMULATOR_HOST", "IDENTITY_")
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for module in (s3, gcs, azure):
        monkeypatch.setattr(module, "metadata_service_answers", lambda: False)


def config_of(handler: CloudHandler, uri: str) -> dict[str, Any]:
    place = handler.parse(uri)
    store = handler.open_store(ObjectPlace(place.bucket, "", None, place.credentials))
    return dict(store.config)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://b/k", ObjectPlace("b", "k")),
        ("s3://b/a/b/", ObjectPlace("b", "a/b/")),
        ("s3://b", ObjectPlace("b", "")),
        ("s3://b/k?versionId=v.1_x", ObjectPlace("b", "k", "v.1_x")),
        ("s3://b/k?x=1", ObjectPlace("b", "k?x=1")),
        ("s3://b/k#7", ObjectPlace("b", "k#7")),
        ("s3://b/%41", ObjectPlace("b", "%41")),
    ],
)
def test_s3_uris(uri: str, place: ObjectPlace) -> None:
    assert holdfast.S3Handler().parse(uri) == place


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("gs://b/k#7", ObjectPlace("b", "k", "7")),
        ("gs://b/k#x", ObjectPlace("b", "k#x")),
        ("gs://b/k?7", ObjectPlace("b", "k?7")),
    ],
)
def test_google_uris(uri: str, place: ObjectPlace) -> None:
    assert holdfast.GCSHandler().parse(uri) == place


def test_azure_urls_are_unquoted_for_asking_and_quoted_for_recording() -> None:
    handler = holdfast.AzureHandler()
    container = "https://acc.blob.core.windows.net/c"
    place = handler.parse(f"{container}/a%20b/%25?versionId=2026-01-01T00%3A00%3A00Z")
    assert place == ObjectPlace(container, "a b/%", "2026-01-01T00:00:00Z")
    assert handler.uri_of(place, "a b/%") == f"{container}/a%20b/%25"
    signed = handler.parse(f"{container}/x?sv=1&sig=secret")
    assert signed.credentials == "sv=1&sig=secret"
    assert "secret" not in handler.uri_of(signed, "x")


def test_the_services_own_variable_of_the_endpoint_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://general:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3:2/")
    config = config_of(holdfast.S3Handler(), "s3://bucket/k")
    assert (config["endpoint_url_s3"], config["endpoint"]) == ("http://s3:2", "http://s3:2")
    assert config["virtual_hosted_style_request"] == "false"


@pytest.mark.parametrize(
    ("endpoint", "wanted", "expected"),
    [
        ("https://object.lga1.cwobject.com", None, "https://bucket.object.lga1.cwobject.com"),
        ("https://ceph.example.org:8080", "true", "https://bucket.ceph.example.org:8080"),
        ("https://bucket.ceph.example.org", "true", "https://bucket.ceph.example.org"),
    ],
)
def test_a_bucket_goes_into_the_host_where_that_is_wanted(
    endpoint: str, wanted: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if wanted:
        monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", wanted)
    config = config_of(holdfast.S3Handler(), "s3://bucket/k")
    assert (config["endpoint"], config["virtual_hosted_style_request"]) == (expected, "true")


def test_keys_of_the_environment_go_before_those_of_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id=profile\naws_secret_access_key=p%s\naws_session_token=t\n"
    )
    config = config_of(holdfast.S3Handler(), "s3://bucket/k")
    assert config["access_key_id"] == "profile"
    assert config["secret_access_key"] == "p%s"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "e")
    # Obstore reads these itself; what matters is that nothing overrides them.
    assert "access_key_id" not in config_of(holdfast.S3Handler(), "s3://bucket/k")


def test_the_region_of_the_environment_goes_before_that_of_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nregion = eu-west-1\n[profile other]\nregion = eu-west-2\n")
    assert config_of(holdfast.S3Handler(), "s3://bucket/k")["region"] == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert config_of(holdfast.S3Handler(), "s3://bucket/k")["region"] == "eu-west-2"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert config_of(holdfast.S3Handler(), "s3://bucket/k")["region"] == "eu-west-3"


def test_nobody_signs_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for handler, uri in (
        (holdfast.S3Handler(), "s3://b/k"),
        (holdfast.GCSHandler(), "gs://b/k"),
        (holdfast.AzureHandler(), "https://acc.blob.core.windows.net/c/b"),
    ):
        assert any(name.endswith("skip_signature") and value for name, value in config_of(handler, uri).items())


def test_on_a_machine_of_a_cloud_its_role_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (s3, gcs, azure):
        monkeypatch.setattr(module, "metadata_service_answers", lambda: True)
    config = config_of(holdfast.S3Handler(), "s3://b/k")
    assert not config.get("skip_signature")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert config_of(holdfast.S3Handler(), "s3://b/k")["skip_signature"] == "true"


def test_a_profile_that_needs_the_sdk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = x\n")
    monkeypatch.setitem(__import__("sys").modules, "obstore.auth.boto3", None)
    with pytest.raises(ValueError, match="pip install boto3"):
        config_of(holdfast.S3Handler(), "s3://b/k")


def test_a_broken_configuration_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "config"
    broken.write_text("no section\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(broken))
    with pytest.raises(CommError, match=f"{broken} cannot be understood"):
        aws_profile.read_profile(os.environ)


def test_a_connection_string_serves_its_own_account_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "DefaultEndpointsProtocol=https;AccountName=mine;AccountKey=a2V5;EndpointSuffix=core.windows.net"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    mine = config_of(holdfast.AzureHandler(), "https://mine.blob.core.windows.net/c/b")
    other = config_of(holdfast.AzureHandler(), "https://other.blob.core.windows.net/c/b")
    assert any(value == "a2V5" for value in mine.values())
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text.replace("a2V5", "not base64"))
    with pytest.raises(CommError, match=r"https://mine\.blob\.core\.windows\.net/c cannot be opened"):
        holdfast.AzureHandler().store_path(None, "https://mine.blob.core.windows.net/c/b")
    assert not any(value == "a2V5" for value in other.values())
