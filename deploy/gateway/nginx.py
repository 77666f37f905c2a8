"""nginx's configuration, written from the table of routes: no Python runs in a request's path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from deploy.fleet import LIVE
from deploy.gateway import problems
from deploy.gateway.limits import PER_ADDRESS, PER_TOKEN, Limit
from deploy.gateway.routes import Route, Table

READ_SECONDS, SLOW_SECONDS, LIVE_SECONDS = 40, 600, 3600
"""How long a service may be silent: usually (a held GET takes up to 30), where much has to settle, in a stream."""


@dataclass(frozen=True)
class Options:
    """What differs between machines.

    `upstreams`: addresses by name, a route to any other name is left out. `preamble`: lines for the http block, such
    as where temporary files go. `certificate` and `key` turn TLS on. `resolver`: a name server that is asked for the
    upstreams' names again and again, so that they may move and grow (needs nginx 1.27.3). `trusted_proxies`: whose
    X-Forwarded-For is believed.
    """

    upstreams: Mapping[str, Sequence[str]]
    listen: str = "8080"
    preamble: str = "access_log off;\n"
    certificate: str = ""
    key: str = ""
    resolver: str = ""
    workers: str = "auto"
    per_token: Limit = PER_TOKEN
    per_address: Limit = PER_ADDRESS
    trusted_proxies: Sequence[str] = ()


def configuration(table: Table, options: Options) -> str:
    """The whole text of nginx.conf."""
    routes = [route for route in table.routes if route.upstream in options.upstreams]
    parts = (
        _http(options),
        _limits(options),
        *(_upstream(name, addresses, options.resolver) for name, addresses in sorted(options.upstreams.items())),
        _maps(routes),
        _server(routes, options),
    )
    return f"""# Made by `python -m deploy.gateway` from the services' doors: change those, or deploy/gateway, not this.
worker_processes {options.workers};
worker_rlimit_nofile 8192;
events {{
    worker_connections 4096;
}}
http {{
{_indented(chr(10).join(parts))}
}}
"""


def _http(options: Options) -> str:
    proxies = "".join(f"set_real_ip_from {one};\n" for one in options.trusted_proxies)
    proxies += "real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n" if proxies else ""
    resolver = f"resolver {options.resolver} valid=5s;\n" if options.resolver else ""
    return f"""{options.preamble}{proxies}{resolver}server_tokens off;
tcp_nodelay on;
merge_slashes off;
keepalive_timeout 75s;
keepalive_requests 10000;
client_header_timeout 15s;
client_body_timeout 15s;
send_timeout 30s;
client_max_body_size 1m;
client_body_buffer_size 64k;
large_client_header_buffers 4 8k;
reset_timedout_connection on;
map_hash_bucket_size 256;
"""


def _limits(options: Options) -> str:
    token, address = options.per_token, options.per_address
    return f"""# Coarse limits, by token and by address; machines that sign their callbacks are not limited.
map $machine $by_token {{ default $http_authorization; 1 ""; }}
map $machine $by_address {{ default $binary_remote_addr; 1 ""; }}
limit_req_zone $by_token zone=token:16m rate={token.rate}r/s;
limit_req_zone $by_address zone=address:16m rate={address.rate}r/s;
limit_req zone=token burst={token.burst} nodelay;
limit_req zone=address burst={address.burst} nodelay;
limit_req_status 429;
limit_req_log_level info;
"""


def _upstream(name: str, addresses: Sequence[str], resolver: str) -> str:
    # With few processes, one that is just being restarted must not be left out for long: hence max_fails=0.
    again = " resolve" if resolver else ""
    servers = "".join(f"    server {address} max_fails=0{again};\n" for address in addresses)
    zone = f"    zone {name} 64k;\n" if resolver else ""
    return f"upstream {name} {{\n{zone}{servers}    keepalive 32;\n    keepalive_timeout 60s;\n}}"


def _maps(routes: Sequence[Route]) -> str:
    """`$backend`: which process answers; `$refused`: 404 or 405 where none does; `$allow`: a path's methods."""
    known = Table(routes)
    by_rule = {route.rule: route for route in known.routes}
    return f"""
# The most specific pattern first: the first that fits wins. "name?" may be asked to wait.
map $request_method $asked {{ default $request_method; HEAD GET; }}
map "$asked $uri" $route {{
    default "";
{_entries((_operation(route), route.upstream + "?" * route.waits) for route in routes)}
}}
map "$asked $uri" $machine {{
    default "";
{_entries((_operation(route), "1") for route in routes if route.machine)}
}}
map $uri $allow {{
    default "";
{_entries((_path(route), ", ".join(known.allowed(route.sample))) for route in by_rule.values())}
}}
map "$arg_wait_for;$http_prefer" $waits {{ default ""; "~^[^;]" 1; "~*[;,\\s]wait\\s*=" 1; }}
map $route $backend {{ default $route; "~^(?<unheld>.+)\\?$" $held; }}
map $waits $held {{ default $unheld; 1 {LIVE}; }}
map $allow $unknown {{ default 405; "" 404; }}
map $route $refused {{ default ""; "" $unknown; }}
"""


def _entries(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f'    "{key}" "{value}";' for key, value in pairs)


# Regular expressions even where nothing varies: nginx ignores the case of plain strings in a map.


def _operation(route: Route) -> str:
    return f"~^{route.method} {route.regex}$"


def _path(route: Route) -> str:
    return f"~^{route.regex}$"


def _server(routes: Sequence[Route], options: Options) -> str:
    listen, tls = options.listen, ""
    if options.certificate:
        listen += " ssl"
        tls = (
            f"ssl_certificate {options.certificate};\nssl_certificate_key {options.key};\n"
            "ssl_protocols TLSv1.2 TLSv1.3;\nssl_session_cache shared:tls:10m;\nssl_session_tickets off;\n"
            'add_header Strict-Transport-Security "max-age=63072000" always;\n'
        )
    locations = [_location("/", READ_SECONDS, buffering=True)]
    for route in routes:
        if route.live or route.slow:
            seconds = LIVE_SECONDS if route.live else SLOW_SECONDS
            where = f"= {route.rule}" if route.literal else f'~ "^{route.regex}$"'
            locations.append(_location(where, seconds, buffering=not route.live))
    errors = "\n".join(f"error_page {status} = {_where(status)};" for status in problems.REFUSALS)
    body = f"""listen {listen} backlog=1024;
{tls}
error_page 408 495 496 497 501 505 = {_where(400)};
error_page 494 = {_where(431)};
{errors}

proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header Connection "";
proxy_set_header X-Request-Id $request_id;
proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-Host "";
proxy_set_header Forwarded "";
proxy_connect_timeout 2s;
proxy_send_timeout 30s;
proxy_next_upstream error timeout;
proxy_next_upstream_tries 2;

{chr(10).join(locations)}

{chr(10).join(_page(status) for status in problems.REFUSALS)}"""
    return f"server {{\n{_indented(body)}\n}}"


def _location(where: str, seconds: int, *, buffering: bool) -> str:
    off = "" if buffering else "    proxy_buffering off;\n"
    return f"""location {where} {{
    if ($refused = 404) {{ return 404; }}
    if ($refused = 405) {{ return 405; }}
    proxy_read_timeout {seconds}s;
{off}    proxy_pass http://$backend;
}}"""


def _where(status: int) -> str:
    """A named location keeps the request as it is; before nginx has read an address there is none to keep."""
    return f"/problem/{status}" if status in (400, 414) else f"@problem_{status}"


def _page(status: int) -> str:
    headers = dict(problems.SECURITY_HEADERS) | {"X-Request-Id": "$request_id"}
    if status == 405:
        headers["Allow"] = "$allow"
    if status in problems.RETRY_AFTER:
        headers["Retry-After"] = str(problems.RETRY_AFTER[status])
    lines = "".join(f'    add_header {name} "{value}" always;\n' for name, value in headers.items())
    text = msgspec.json.encode(problems.document(problems.REFUSALS[status], "$request_id")).decode()
    quoted = text.replace("'", "\\'")
    where = _where(status)
    inner = "" if where.startswith("@") else "    internal;\n"
    return f"""location {where if where.startswith("@") else f"= {where}"} {{
{inner}    default_type application/problem+json;
{lines}    return {status} '{quoted}';
}}"""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())
