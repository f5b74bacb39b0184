"""Archives of a unit's files: what was packed comes out, and nothing lies elsewhere, whether or not Python filters."""

import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.execution import checkpoint_files


@pytest.fixture(params=["filters", "no filters"], autouse=True)
def _python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no filters":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


def archived(member: tarfile.TarInfo, data: bytes = b"") -> list[bytes]:
    member.size = len(data)
    file = io.BytesIO()
    with tarfile.open(mode="w", fileobj=file) as archive:
        archive.addfile(member, io.BytesIO(data))
    return [zstandard.compress(file.getvalue())]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def device(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.CHRTYPE
    return member


def test_what_was_packed_comes_out(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "folder" / "deeper").mkdir(parents=True)
    (made / "folder" / "data").write_bytes(bytes(range(256)) * 1000)
    (made / "folder" / "deeper" / "..twodots").write_text("a name like another")
    (made / "link").symlink_to("folder/data")
    (made / "folder" / "deeper" / "up").symlink_to("../data")
    parts: list[bytes] = []
    checkpoint_files.pack(made, lambda _n, data, _last: parts.append(data), 1000)
    there = tmp_path / "there"
    checkpoint_files.unpack(iter(parts), there)
    assert sorted(path.relative_to(there) for path in there.rglob("*")) == sorted(
        path.relative_to(made) for path in made.rglob("*")
    )
    assert (there / "link").read_bytes() == (made / "folder" / "data").read_bytes()
    assert (there / "folder" / "deeper" / "up").readlink() == Path("../data")


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("folder/../../outside"),
        link("link", "../outside"),
        link("folder/link", "../../outside"),
        link("link", "/etc/passwd"),
        link("hard", "../outside", tarfile.LNKTYPE),
        device("null"),
    ],
    ids=lambda member: f"{member.name} {member.linkname}",
)
def test_nothing_lies_elsewhere(tmp_path: Path, member: tarfile.TarInfo) -> None:
    there = tmp_path / "a" / "b" / "there"
    with pytest.raises(InvalidInput, match="cannot be read"):
        checkpoint_files.unpack(iter(archived(member)), there)
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
    assert not there.exists()
