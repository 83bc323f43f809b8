"""conf.yaml: every fault at once, each with its line, what was found and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.config import Config, FaultyConfigError, load

WHOLE = """\
node: {ae_title: NODE, port: 11113, data: images}
peers:
  ct1: {ae_title: CT1, addresses: [192.168.10.0/24]}
pipelines:
  lung: {use: "pipelines.ct_lung:CtLung"}
routes:
  - name: chest
    when: {Modality: CT}
    run: lung
    send: [pacs]
destinations:
  pacs: {ae_title: PACS, host: 10.0.0.1, port: 104}
"""


def _load(folder: Path, text: str, *, pipelines: bool = False) -> Config:
    path = folder / "conf.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, pipelines=pipelines)


def _faults(folder: Path, text: str, *, pipelines: bool = False) -> list[tuple[int | None, str]]:
    with pytest.raises(FaultyConfigError) as caught:
        _load(folder, text, pipelines=pipelines)
    for fault in caught.value.faults:
        assert str(fault) in str(caught.value)
        if fault.line:
            assert f"conf.yaml:{fault.line}: " in str(caught.value)
    return [(fault.line, str(fault)) for fault in caught.value.faults]


def test_a_right_file_loads(tmp_path: Path) -> None:
    config = _load(tmp_path, WHOLE)
    assert config.node.data == tmp_path / "images"
    assert config.routes[0].send == ("pacs",)
    assert config.peers["ct1"].addresses == ("192.168.10.0/24",)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "node: {}\n"])
def test_a_file_that_says_nothing_gives_the_defaults(tmp_path: Path, text: str) -> None:
    assert _load(tmp_path, text).node.ae_title == "DICOMNODE"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("port: 11113", "port: 111130", 1, "node.port: found 111130; must be at most 65535"),
        ("port: 11113", "port: many", 1, 'node.port: found "many"; must be a whole number'),
        ("port: 11113", "prot: 11113", 1, 'node.prot: there is no such key; did you mean "port"?'),
        ("ae_title: NODE", 'ae_title: "a\\\\b"', 1, "no backslash"),
        ("ae_title: NODE", "ae_title: MUCH_TOO_LONG_A_NAME", 1, "1 to 16 ASCII characters"),
        ("ae_title: NODE", 'ae_title: "   "', 1, "1 to 16 ASCII characters"),
        ("data: images", "devices: [gpu]", 1, 'node.devices[0]: found "gpu"; a device is "cpu"'),
        ("data: images", "use: trial", 1, 'node.use: found "trial"; allowed: research, clinical'),
        ("192.168.10.0/24", "192.168.10.5/24", 3, 'did you mean "192.168.10.0/24"?'),
        ("192.168.10.0/24", "ct1.local", 3, "a network is written like"),
        ("run: lung", "run: lnug", 9, 'routes[0].run: there is no pipeline "lnug"; did you mean "lung"?'),
        ("[pacs]", "[pacs, pasc]", 10, 'send[1]: there is no destination "pasc"; did you mean "pacs"?'),
        ("name: chest", "title: chest", 7, 'routes[0].title: there is no such key'),
        ("port: 104", "port: 104, outputs: [seg, png]", 12, 'outputs[1]: found "png"; allowed'),
        ("10.0.0.1, port: 104", "127.0.0.1, port: 11113", 12, "destinations.pacs: is this node itself"),
        ("port: 104", "port: 104, confirm: commit", 12, 'found "commit"; allowed: false, true, commitment'),
        (
            "ae_title: PACS, host: 10.0.0.1, port: 104",
            "url: 'http://a/b', confirm: commitment",
            12,
            "true asks by QIDO",
        ),
        ("Modality: CT", "Modaliti: CT", 8, 'when.Modaliti: "Modaliti" is no DICOM keyword'),
        ("peers:", "peers: 3\npeesr:", 2, "peers: found 3; must be a mapping"),
        ("peers:", "complete: {quiet_min: 30, quiet_max: 3}\npeers:", 2, "must not be above quiet_max"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in WHOLE
    faults = _faults(tmp_path, WHOLE.replace(old, new, 1))
    assert any(at == line and said in text for at, text in faults), faults


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = WHOLE.replace("11113", "0").replace("Modality: CT", "Modalty: CT, images: {mim: 3}")
    text = text.replace("run: lung", "run: liver").replace("host: 10.0.0.1, ", "").replace("PACS", "P\\\\S")
    faults = _faults(tmp_path, text)
    assert [line for line, _ in faults] == [1, 8, 8, 9, 12, 12]


def test_a_key_given_twice_is_a_fault_of_its_second_line(tmp_path: Path) -> None:
    faults = _faults(tmp_path, "node:\n  port: 1\n  port: 2\nnode:\n  port: 3\n")
    assert faults == [
        (3, "node.port: it stands in line 2 already; keep one of them"),
        (4, "node: it stands in line 1 already; keep one of them"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("node: [1, 2\nroutes: []\n", 2),
        ("node:\n  port: 1\n port: 2\n", 3),
        ("node: 'open\n", 2),
        ("a: b: c\n", 1),
    ],
)
def test_broken_yaml_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    faults = _faults(tmp_path, text)
    assert len(faults) == 1
    assert faults[0][0] == line
    assert "is not YAML" in faults[0][1]


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(FaultyConfigError, match="can't be read"):
        load(tmp_path / "conf.yaml")
    (tmp_path / "conf.yaml").write_bytes(b"node:\n  institution: \xfc\n")
    with pytest.raises(FaultyConfigError, match=r"conf\.yaml:2: is not UTF-8"):
        load(tmp_path / "conf.yaml")


def test_an_alias_of_itself_ends(tmp_path: Path) -> None:
    assert "refers to what it stands in" in str(_faults(tmp_path, "node: &a\n  port: *a\n"))


def test_routes_are_told_apart_by_name(tmp_path: Path) -> None:
    text = WHOLE.replace("destinations:", "  - {name: chest, run: lung}\ndestinations:")
    assert _faults(tmp_path, text) == [
        (11, 'routes[1].name: routes[0] is called "chest" too; give each route a name of its own')
    ]


@pytest.mark.parametrize(
    ("second", "clash"),
    [
        ("{ae_title: CT1}", True),
        ("{ae_title: CT1, addresses: [192.168.0.0/16]}", True),
        ("{ae_title: CT1, addresses: [192.168.11.7]}", False),
        ("{ae_title: CT2}", False),
    ],
)
def test_peers_of_one_title_need_addresses_of_their_own(tmp_path: Path, second: str, clash: bool) -> None:
    text = WHOLE.replace("pipelines:", f"  ct2: {second}\npipelines:", 1)
    if clash:
        [(line, said)] = _faults(tmp_path, text)
        assert line == 4
        assert 'peers.ct2: can\'t be told from "ct1"' in said
    else:
        assert set(_load(tmp_path, text).peers) == {"ct1", "ct2"}


def test_one_destination_twice_would_send_twice(tmp_path: Path) -> None:
    text = WHOLE + "  again: {ae_title: PACS, host: 10.0.0.1, port: 104}\n"
    assert 'destinations.again: has the same host, port and AE title as "pacs"' in str(
        _faults(tmp_path, text)
    )


def test_the_database_may_name_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_PASSWORD", "s3cret")
    text = 'node: {database: "postgresql+psycopg://node:${LEDGER_PASSWORD}@db/ledger"}\n'
    assert _load(tmp_path, text).node.database == "postgresql+psycopg://node:s3cret@db/ledger"
    monkeypatch.delenv("LEDGER_PASSWORD")
    assert "no variable LEDGER_PASSWORD" in str(_faults(tmp_path, text))


def test_a_destinations_url_may_name_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_PASSWORD", "s3cret")
    text = 'destinations: {pacs: {url: "https://ai:${PACS_PASSWORD}@pacs.example/dicom-web"}}\n'
    assert _load(tmp_path, text).destinations["pacs"].url == "https://ai:s3cret@pacs.example/dicom-web"


def test_urls_are_never_shown(tmp_path: Path) -> None:
    assert "s3cret" not in str(_faults(tmp_path, "node: {database: [s3cret]}\n"))
    text = "destinations: {pacs: {url: 'ftp://ai:s3cret@pacs.example'}}\n"
    assert "s3cret" not in str(_faults(tmp_path, text))


def test_a_file_of_the_sites_own_is_found_beside_conf_yaml(tmp_path: Path) -> None:
    (tmp_path / "beside_conf.py").write_text(
        "from dicom_node.pipeline import Pipeline\n"
        "class Mine(Pipeline):\n"
        "    name, version, title = 'mine', '1', 'Mine'\n"
        "    def run(self, case):\n"
        "        return []\n"
    )
    text = 'pipelines: {mine: {use: "beside_conf:Mine"}}\n'
    assert _load(tmp_path, text, pipelines=True).pipelines["mine"].use == "beside_conf:Mine"


def test_pipelines_are_checked_where_that_is_asked(tmp_path: Path) -> None:
    text = WHOLE.replace("CtLung", "CtLong")
    assert _load(tmp_path, text).pipelines["lung"].use == "pipelines.ct_lung:CtLong"
    assert _faults(tmp_path, text, pipelines=True) == [
        (5, 'pipelines.lung.use: the module "pipelines.ct_lung" holds no "CtLong"; did you mean "CtLung"?')
    ]
    text = WHOLE.replace('CtLung"', 'CtLung", options: {no_such: 1}')
    assert "pipelines.lung.options.no_such: there is no such key" in str(
        _faults(tmp_path, text, pipelines=True)
    )


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["node", "peers", "routes", "pipelines", "destinations", "complete", "when", "any", "not", "all",
             "Modality", "images", "min", "matches", "run", "send", "name", "use", "port", "addresses"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["node", "peers", "routes", "pipelines", "destinations", "complete"]),
        _VALUES,
        max_size=4,
    )
)
def test_no_content_makes_it_fall_over(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    from ruamel.yaml import YAML

    path = tmp_path_factory.mktemp("any") / "conf.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(content, file)
    try:
        assert isinstance(load(path), Config)
    except FaultyConfigError as error:
        assert error.faults  # noqa: PT017 - either is right, and nothing else
        assert all(fault.found for fault in error.faults)  # noqa: PT017


def test_paths_start_where_the_file_stands(tmp_path: Path) -> None:
    tls = "receive: {tls: {certificate: node.pem, key: /etc/node.key}}\n"
    receive = _load(tmp_path, tls).receive
    assert receive.tls is not None
    assert receive.tls.certificate == tmp_path / "node.pem"
    assert receive.tls.key == Path("/etc/node.key")
    assert receive.tls.authorities is None


@pytest.mark.parametrize("seconds", [".inf", ".nan", "-1", "1e9"])
def test_times_are_finite(tmp_path: Path, seconds: str) -> None:
    assert "complete.ceiling: found" in str(_faults(tmp_path, f"complete: {{ceiling: {seconds}}}\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("understanding: [{when: {Modality: CT}, means: {knid: flair}}]", 'did you mean "kind"?'),
        ("understanding: [{when: {Modality: CT}, means: {kind: flare}}]", 'did you mean "flair"?'),
        ("understanding: [{when: {Modality: CT}, means: {contrast: given}}]", "allowed: true, false"),
        ("understanding: [{when: {Modality: CT}, means: {images: 3}}]", "no fact"),
        ("understanding: [{when: {Modality: CT}, means: {}}]", "facts and their values"),
        ("understanding: [{means: {kind: flair}}]", 'the key "when" is missing'),
        ("routes: [{name: a, run: b, hours: [{start: 8}]}]", "a time of day is written 08:30"),
        ("routes: [{name: a, run: b, hours: [{days: [mon]}]}]", "allowed: monday"),
        ("routes: [{name: a, run: b, series: {t1: {wen: {}}}}]", 'did you mean "when"?'),
        ("routes: [{name: a, run: b, series: {t1: {when: {knd: t1w}}}}]", 'did you mean "kind"?'),
        ("peers: {a: {ae_title: A, count: true}}", "peers.a: count needs host and port"),
    ],
)
def test_faults_of_deeper_sections(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in fault for _, fault in _faults(tmp_path, text + "\n"))


def test_a_route_gives_its_pipeline_the_series_that_it_asks_for(tmp_path: Path) -> None:
    text = WHOLE.replace("    run: lung", "    series: {t1: {}, flair: {}}\n    run: lung")
    assert _faults(tmp_path, text, pipelines=True) == [
        (9, 'routes[0].series: the pipeline "lung" is given t1, flair; it asks for image')
    ]
