"""Checks of environment variables, options and the configuration file."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from flower.celery_app import lazy_app
from flower.doctor.configuration import check_configuration, suggest_name
from flower.doctor.examination import Examination
from flower.doctor.models import Outcome
from tests.doctor.conftest import RunCheck


def findings(folder: Path, options: Mapping[str, str] = MappingProxyType({}), /, **environment: str) -> list[Outcome]:
    return list(check_configuration(Examination(options, environment, folder, lazy_app(None, None))))


def test_a_valid_configuration_is_ok(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("import os\nport = 5600\nhelper = os.getcwd()\n")
    (finding,) = findings(tmp_path, {"max_age": "30d"}, FLOWER_BASIC_AUTH="ann:secret", PATH="/bin")
    assert finding.status == "ok"
    assert finding.found == f"Valid (1 option, 1 variable, {tmp_path / 'flowerconfig.py'})"


@pytest.mark.parametrize(
    "name", ["FLOWER_BASICAUTH", "FLOWER_FLOWER_BASIC_AUTH", "FLOWER_PASSWORD", "FLOWER_BASIC_AUHT"]
)
def test_a_misspelt_access_variable_is_an_error_with_the_right_name(tmp_path: Path, name: str) -> None:
    (finding,) = findings(tmp_path, **{name: "ann:topsecret"})
    assert finding == Outcome(
        "error",
        f"The environment variable {name} is not an option and is ignored: it restricts no access",
        "Rename it to FLOWER_BASIC_AUTH.",
    )


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("FLOWER_HOST", "Rename it to FLOWER_ADDRESS."),
        ("FLOWER_MAXTASKS", "Rename it to FLOWER_MAX_TASKS."),
        ("FLOWER_BROKER_URL", "Use -b URL or CELERY_BROKER_URL."),
        ("FLOWER_XYZZY", "Remove it; see docs/configuration.md."),
    ],
)
def test_an_unknown_variable_is_a_warning(tmp_path: Path, name: str, action: str) -> None:
    (finding,) = findings(tmp_path, **{name: "x"})
    assert (finding.status, finding.action) == ("warning", action)


@pytest.mark.parametrize(
    "name",
    ["FLOWER_SERVICE_HOST", "FLOWER_SERVICE_PORT_HTTP", "FLOWER_PORT_5555_TCP_ADDR", "FLOWER_METRICS_SERVICE_PORT",
     "FLOWER_UNAUTHENTICATED_API", "FLOWER_GITLAB_OAUTH_DOMAIN", "FLOWER_DEMO_PACE"],
)  # fmt: skip
def test_variables_of_kubernetes_and_of_other_features_are_not_reported(tmp_path: Path, name: str) -> None:
    assert [finding.status for finding in findings(tmp_path, **{name: "10.0.0.1"})] == ["ok"]


def test_the_port_variable_of_kubernetes_is_a_warning(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, FLOWER_PORT="tcp://10.0.0.1:5555")
    assert finding.status == "warning"
    assert "Kubernetes service" in finding.found


def test_an_empty_access_option_is_an_error_and_the_other_checks_have_a_configuration(tmp_path: Path) -> None:
    examination = Examination({}, {"FLOWER_BASIC_AUTH": ""}, tmp_path, lazy_app(None, None))
    (finding,) = check_configuration(examination)
    assert finding.status == "error"
    assert "FLOWER_BASIC_AUTH is empty: no sign-in would be required" in finding.found
    assert examination.config.basic_auth == ()


def test_an_invalid_value_is_an_error_and_later_checks_are_skipped(tmp_path: Path, run_check: RunCheck) -> None:
    examination = Examination({"port": "many"}, {}, tmp_path, lazy_app(None, None))
    (result,) = run_check(check_configuration, examination)
    assert result.status == "error"
    assert "--port" in result.found
    (skipped,) = run_check(lambda each: [Outcome("ok", str(each.config))], examination)
    assert (skipped.status, skipped.found) == ("skipped", "the configuration cannot be loaded")


def test_a_misspelt_name_in_the_file_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("port = 5600\nbasicauth = ['ann:secret']\nshop = 1\n")
    (finding,) = findings(tmp_path)
    assert finding.status == "error"
    assert finding.found.startswith("flowerconfig.py, line 2: basicauth is not an option")
    assert finding.action == "Rename it to basic_auth."


def test_names_that_the_file_uses_are_not_reported(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text(
        "import os\nusers = ['ann:' + os.environ['FLOWER_PASSWORD']]\nbasic_auth = users\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWER_PASSWORD", "secret")
        assert [finding.status for finding in findings(tmp_path, FLOWER_PASSWORD="secret")] == ["ok"]


def test_variables_that_are_parts_of_an_option_are_not_reported(tmp_path: Path) -> None:
    options = {"basic_auth": "ann:secret"}
    assert [finding.status for finding in findings(tmp_path, options, FLOWER_USER="ann")] == ["ok"]
    assert [finding.status for finding in findings(tmp_path, options, FLOWER_BASICAUTH="ann")] == ["warning"]
    assert [finding.status for finding in findings(tmp_path, FLOWER_USER="ann")] == ["error"]


def test_the_file_is_that_of_the_option_and_of_the_variable(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("adress = '0.0.0.0'\n")
    for options, environment in (({"conf": "other.py"}, {}), ({}, {"FLOWER_CONF": "other.py"})):
        (finding,) = findings(tmp_path, options, **environment)
        assert finding.action == "Rename it to address."


def test_a_file_with_an_error_is_reported(tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("port = \n")
    (finding,) = findings(tmp_path)
    assert finding.status == "error"
    assert "flowerconfig.py cannot be read: SyntaxError" in finding.found


def test_a_name_without_similar_option_has_no_suggestion() -> None:
    assert suggest_name("xyzzy") is None
    assert suggest_name("url-prefix".replace("-", "_")) == "url_prefix"
