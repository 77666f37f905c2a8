"""What operators are shown and woken by: alerts that come when they must, about numbers that are really told."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
import requests
import yaml

from deploy.fleet import FLEET
from deploy.servers.install import find
from deploy.stack import Stack
from shared.contracts.event import REGISTRY
from shared.telemetry import metrics

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "observability"
DASHBOARDS = sorted((HERE / "grafana" / "dashboards").glob("*.json"))
OPERATORS = {"and", "or", "unless", "offset", "bool", "on", "ignoring", "group_left", "group_right", "by", "without"}
LABELS_OF_THE_SCRAPE = {"job", "process", "instance", "alertstate", "alertname"}
OTHERS = {"up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes"}
FAMILIES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run([find("promtool"), *arguments], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def alerts() -> tuple[dict[str, Any], ...]:
    groups = yaml.safe_load((HERE / "alerts.yml").read_text())["groups"]
    return tuple(rule for group in groups for rule in group["rules"])


def panels(dashboard: Path) -> Iterator[tuple[str, str]]:
    """``(title, expression)``, with Grafana's variables replaced by what they might be."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expr = target["expr"].replace("$__rate_interval", "1m").replace("$service", "order")
            yield panel["title"], expr


def expressions() -> dict[str, str]:
    found = {rule["alert"]: rule["expr"] for rule in alerts()}
    shown = ((one.stem, title, expr) for one in DASHBOARDS for title, expr in panels(one))
    return found | {f"{page}: {title} ({no})": expr for no, (page, title, expr) in enumerate(shown)}


def names(expr: str) -> set[str]:
    """The series that an expression reads."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', " ", re.sub(r'\{(?:"[^"]*"|[^}"])*\}', " ", expr))
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    words = re.findall(r"\b([A-Za-z_:][\w:]*)\b(?!\s*\()", bare)
    return {word for word in words if word not in OPERATORS and not re.fullmatch(r"\d+\w*", word)}


def declared() -> dict[str, set[str]]:
    """By series: the labels it may be asked by."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            for suffix in FAMILIES[str(metric._type)]:
                found[metric._name + suffix] = {*metric._labelnames, "le"} | LABELS_OF_THE_SCRAPE
    return found


def test_the_configuration_and_every_expression_can_be_read(tmp_path: Path) -> None:
    promtool("check", "config", "prometheus.yml")
    shown = [
        {"record": f"panel:{number}", "expr": expr}
        for number, expr in enumerate(expr for one in DASHBOARDS for _, expr in panels(one))
    ]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": shown}]}))
    promtool("check", "rules", tmp_path / "panels.yml")


def test_every_alert_comes_when_it_must_and_none_when_all_is_well() -> None:
    promtool("test", "rules", "alerts_test.yml")
    tested = (HERE / "alerts_test.yml").read_text()
    assert [one["alert"] for one in alerts() if f'alertname="{one["alert"]}",alertstate="firing",' not in tested] == []


def test_every_alert_says_how_bad_it_is_what_to_do_and_where_to_read_on() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert len(rule["annotations"]["summary"]) > 40, rule["alert"]
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
        there = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in there, f"{rule['alert']}: {page} has no #{anchor}"


def test_alerts_and_dashboards_ask_for_what_the_code_declares() -> None:
    known = declared()
    facts = {name for _, name, _ in REGISTRY}
    for where, expr in expressions().items():
        read = names(expr)
        assert read, where
        assert {one for one in read if not one.startswith("rabbitmq_")} <= known.keys() | OTHERS, where
        for series, matchers in re.findall(r'(caravan_\w+)\{((?:"[^"]*"|[^}"])*)\}', expr):
            labels = dict(re.findall(r'(\w+)\s*[=!]~?\s*"([^"]*)"', matchers))
            assert labels.keys() <= known[series], where
            assert set(labels.get("fact", "").split("|")) <= facts | {""}, where


def test_every_process_is_asked_and_no_other() -> None:
    asked = {
        name
        for job in yaml.safe_load((HERE / "prometheus.yml").read_text())["scrape_configs"]
        for found in job.get("dns_sd_configs", ())
        for name in found["names"]
    }
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = {name for name, one in compose.items() if "build" in one} - {"migrate"}
    assert asked == ours
    assert {f"{one.name}-worker" for one in FLEET} < asked


@pytest.mark.servers
@pytest.mark.xdist_group("stack")
def test_what_is_asked_for_is_told_by_a_platform_that_runs(stack: Stack) -> None:
    with requests.Session() as session:
        session.trust_env = False

        def told(url: str) -> set[str]:
            answer = session.get(url, timeout=10)
            assert answer.status_code == 200, url
            return set(re.findall(r"^# TYPE (\w+) ", answer.text, re.MULTILINE))

        processes = {name: f"http://127.0.0.1:{stack.ports[name]}/metrics" for name in stack.jobs if "." in name}
        processes["commons"] = f"http://127.0.0.1:{stack.ports['commons']}/metrics"
        for name, url in processes.items():
            assert "caravan_request_seconds" in told(url), name
        page = stack.rabbit.prometheus_url
        broker = told(page) | told(
            f"{page}/detailed?family=queue_coarse_metrics&family=queue_consumer_count&vhost=caravan"
        )
    asked = {one for expr in expressions().values() for one in names(expr) if one.startswith("rabbitmq_")}
    assert asked <= broker
