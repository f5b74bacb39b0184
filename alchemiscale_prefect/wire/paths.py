"""Every path of the API, once. The server mounts them, the SDK fills them in with `fill`.

The user's paths are alchemiscale's (released client 0.7 and 0.8). What is under ``/compute`` is ours: the flow runs'.
"""

from urllib.parse import quote

TOKEN = "/token"  # noqa: S105  a path, no secret
PING = "/ping"
INFO = "/info"
CHECK = "/check"
IDENTITY_SCOPES = "/identities/{identity}/scopes"
EXISTS = "/exists/{key}"

NETWORKS = "/networks"
NETWORK = "/networks/{network}"
NETWORK_TRANSFORMATIONS = "/networks/{network}/transformations"
NETWORK_CHEMICAL_SYSTEMS = "/networks/{network}/chemicalsystems"
NETWORK_TASKS = "/networks/{network}/tasks"
NETWORK_STATUS = "/networks/{network}/status"
NETWORK_WEIGHT = "/networks/{network}/weight"
NETWORK_TASKS_ACTIONED = "/networks/{network}/tasks/actioned"
NETWORK_TASKS_ACTION = "/networks/{network}/tasks/action"
NETWORK_TASKS_CANCEL = "/networks/{network}/tasks/cancel"
NETWORKS_STATE_SET = "/bulk/networks/state/set"
NETWORKS_STATE_GET = "/bulk/networks/state/get"
NETWORKS_STATUS = "/bulk/networks/status"
NETWORKS_WEIGHT_GET = "/bulk/networks/weight/get"
NETWORKS_WEIGHT_SET = "/bulk/networks/weight/set"
NETWORKS_TASKS_ACTIONED = "/bulk/networks/tasks/actioned"
NETWORK_RESTART_PATTERNS_ADD = "/networks/{network}/restartpatterns/add"
NETWORK_RESTART_PATTERNS_REMOVE = "/networks/{network}/restartpatterns/remove"
NETWORK_RESTART_PATTERNS_CLEAR = "/networks/{network}/restartpatterns/clear"
NETWORK_RESTART_PATTERNS_MAX_RETRIES = "/networks/{network}/restartpatterns/maxretries"
NETWORKS_RESTART_PATTERNS_GET = "/bulk/networks/restartpatterns/get"
NETWORK_STRATEGY = "/networks/{network}/strategy"
NETWORK_STRATEGY_STATE = "/networks/{network}/strategy/state"
NETWORK_STRATEGY_STATUS = "/networks/{network}/strategy/status"
NETWORK_STRATEGY_AWAKE = "/networks/{network}/strategy/awake"

TRANSFORMATIONS = "/transformations"
TRANSFORMATION = "/transformations/{transformation}"
TRANSFORMATION_NETWORKS = "/transformations/{transformation}/networks"
TRANSFORMATION_CHEMICAL_SYSTEMS = "/transformations/{transformation}/chemicalsystems"
TRANSFORMATION_TASKS = "/transformations/{transformation}/tasks"
TRANSFORMATION_STATUS = "/transformations/{transformation}/status"
TRANSFORMATION_RESULTS = "/transformations/{transformation}/results"
TRANSFORMATION_FAILURES = "/transformations/{transformation}/failures"
PROTOCOL_DAG_RESULT = "/transformations/{transformation}/{route}/{result}"
TRANSFORMATIONS_TASKS_CREATE = "/bulk/transformations/tasks/create"

CHEMICAL_SYSTEMS = "/chemicalsystems"
CHEMICAL_SYSTEM = "/chemicalsystems/{chemical_system}"
CHEMICAL_SYSTEM_NETWORKS = "/chemicalsystems/{chemical_system}/networks"
CHEMICAL_SYSTEM_TRANSFORMATIONS = "/chemicalsystems/{chemical_system}/transformations"

TASKS = "/tasks"
TASK_STATUS = "/tasks/{task}/status"
TASK_NETWORKS = "/tasks/{task}/networks"
TASK_NETWORKS_ACTIONED = "/tasks/{task}/networks/actioned"
TASK_TRANSFORMATION = "/tasks/{task}/transformation"
TASK_RESULTS = "/tasks/{task}/results"
TASK_FAILURES = "/tasks/{task}/failures"
TASKS_STATUS_GET = "/bulk/tasks/status/get"
TASKS_STATUS_SET = "/bulk/tasks/status/set"
TASKS_PRIORITY_GET = "/bulk/tasks/priority/get"
TASKS_PRIORITY_SET = "/bulk/tasks/priority/set"

SCOPE_STATUS = "/scopes/{scope}/status"

# ours, beside alchemiscale's
NETWORK_PROGRESS = "/networks/{network}/progress"
NETWORKS_DETAILS = "/bulk/networks/details/get"
TRANSFORMATIONS_ESTIMATES = "/networks/{network}/estimates"
NETWORK_ANCESTORS = "/networks/{network}/ancestors"
NETWORKS_COPY = "/bulk/networks/copy"
NETWORKS_MERGE = "/bulk/networks/merge"
TRANSFORMATIONS_TASKS_SET = "/bulk/transformations/tasks/set"
TASK_HISTORY = "/tasks/{task}/history"
TASK_EXPLANATION = "/tasks/{task}/explanation"
TASK_TRACEBACKS = "/tasks/{task}/tracebacks"
TASKS_DETAILS = "/bulk/tasks/details/get"
TASKS_PROGRESS = "/bulk/tasks/progress/get"
SCOPE_COMPUTE_SHARE = "/scopes/{scope}/compute/share"

SCOPE_GRANTS = "/scopes/{scope}/grants"
SCOPE_GRANT = "/scopes/{scope}/grants/{identity}"

ADMIN_TOKEN = "/admin/token"  # noqa: S105  a path, no secret
ADMIN_IDENTITIES = "/admin/identities"
ADMIN_IDENTITY = "/admin/identities/{kind}/{identity}"
ADMIN_DISABLE = "/admin/identities/{kind}/{identity}/disable"
ADMIN_ENABLE = "/admin/identities/{kind}/{identity}/enable"
ADMIN_KEYS = "/admin/identities/{kind}/{identity}/keys"
ADMIN_KEY = "/admin/identities/{kind}/{identity}/keys/{name}"
ADMIN_GRANTS = "/admin/identities/{kind}/{identity}/grants"
ADMIN_GRANT = "/admin/identities/{kind}/{identity}/grants/{scope}"
ADMIN_AUDIT = "/admin/audit"
ADMIN_METRICS = "/admin/metrics"
ADMIN_HOSTS = "/admin/hosts"
ADMIN_HOST_BAN = "/admin/hosts/ban"
ADMIN_HOST_PARDON = "/admin/hosts/pardon"

COMPUTE_TOKEN = "/compute/token"  # noqa: S105  a path, no secret
COMPUTE_BEGIN = "/compute/tasks/{task}/attempts/{n}/begin"
COMPUTE_HEARTBEAT = "/compute/tasks/{task}/attempts/{n}/heartbeat"
COMPUTE_DAG = "/compute/tasks/{task}/attempts/{n}/dag"
COMPUTE_UNIT = "/compute/tasks/{task}/attempts/{n}/units/{unit_result}"
COMPUTE_UNIT_FILES = "/compute/tasks/{task}/attempts/{n}/units/{unit_result}/files/{part}"
COMPUTE_EXTENDS = "/compute/tasks/{task}/attempts/{n}/extends"
COMPUTE_RESULT = "/compute/tasks/{task}/attempts/{n}/result"
COMPUTE_FINISH = "/compute/tasks/{task}/attempts/{n}/finish"
COMPUTE_RELEASE = "/compute/tasks/{task}/attempts/{n}/release"


def fill(path: str, **parts: object) -> str:
    """`path` with its placeholders filled in, each part quoted."""
    return path.format(**{name: quote(str(part), safe="") for name, part in parts.items()})
