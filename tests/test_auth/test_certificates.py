"""Somebody in between, with a certificate that must not be taken: refused on HTTP and MQTT, and told why."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
import trustme

from cl_client import ComputeClient, ComputeClientConfig, ServerUnavailableError
from cl_client._auth.client import AuthClient
from cl_client.local import LocalServer, ServerTLS
from patience import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The one that the client trusts."""
    return trustme.CA()


@pytest.fixture
def shows(tmp_path: Path, authority: trustme.CA) -> Callable[[trustme.LeafCert], ServerTLS]:
    """A server's files with such a certificate; the client's ``ca.pem`` lies beside them."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def files(leaf: trustme.LeafCert) -> ServerTLS:
        tls = ServerTLS(tmp_path / "server.pem", tmp_path / "server.key")
        leaf.private_key_pem.write_to_path(str(tls.key_file))
        leaf.cert_chain_pems[0].write_to_path(str(tls.cert_file))
        return tls

    return files


def config_for(server: LocalServer, tls: ServerTLS, **settings: object) -> ComputeClientConfig:
    return ComputeClientConfig.create(
        base_url=server.base_url,
        mqtt_broker=server.mqtt_url,
        max_retries=0,
        ca_file=tls.cert_file.with_name("ca.pem"),
        **settings,
    )


def of_another_authority(_trusted: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


def expired(trusted: trustme.CA) -> trustme.LeafCert:
    return trusted.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO + dt.timedelta(days=9))


def for_another_name(trusted: trustme.CA) -> trustme.LeafCert:
    return trusted.issue_cert("compute.example")


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        (of_another_authority, "unable to get local issuer"),
        (expired, "certificate has expired"),
        (for_another_name, "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_not_to_be_trusted(
    issue: Callable[[trustme.CA], trustme.LeafCert],
    reason: str,
    authority: trustme.CA,
    shows: Callable[[trustme.LeafCert], ServerTLS],
    caplog: pytest.LogCaptureFixture,
) -> None:
    tls = shows(issue(authority))
    with LocalServer(workers=1, tasks=["hash"], auth=True, tls=tls) as server:
        config = config_for(server, tls)
        async with ComputeClient(config=config) as client:
            with pytest.raises(ServerUnavailableError, match=f"not trusted: .*{reason}"):
                await client.health()
            assert not await client.mqtt_monitor.wait_connected(1.0)
        assert f"the certificate is not trusted: {reason}" in " ".join(caplog.text.split())
        async with AuthClient(server.auth_url, config=config) as auth:
            with pytest.raises(ServerUnavailableError, match=reason):
                await auth.login("admin", "admin")


async def test_a_certificate_of_the_named_authority(
    authority: trustme.CA, shows: Callable[[trustme.LeafCert], ServerTLS]
) -> None:
    tls = shows(authority.issue_cert("127.0.0.1"))
    with LocalServer(workers=1, tasks=["hash"], tls=tls) as server:
        async with ComputeClient(config=config_for(server, tls)) as client:
            assert await client.mqtt_monitor.wait_connected(SECONDS)
            assert (await client.hash.compute(b"x", wait=True)).status == "completed"


async def test_checks_are_switched_off_by_name_alone_and_with_a_warning(
    shows: Callable[[trustme.LeafCert], ServerTLS],
    caplog: pytest.LogCaptureFixture,
) -> None:
    tls = shows(trustme.CA().issue_cert("compute.example"))
    with LocalServer(workers=1, tasks=["hash"], tls=tls) as server:
        config = config_for(server, tls, insecure_skip_verify=True)
        async with ComputeClient(config=config) as client:
            assert await client.mqtt_monitor.wait_connected(SECONDS)
            assert (await client.health()).status == "healthy"
    assert "insecure_skip_verify is on" in caplog.text
