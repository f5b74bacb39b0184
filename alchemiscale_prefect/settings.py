"""What an operator can set, from the environment (``ALCHEMISCALE_…``). Read once, in `bootstrap`."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, PositiveInt, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.hosts import HostPolicy
from alchemiscale_prefect.domain.losses import BackOff
from alchemiscale_prefect.domain.shares import Shares
from alchemiscale_prefect.domain.slots import Slots, TakesSlots, usable_cpus

Group = TypeVar("Group", bound=BaseSettings)


def read(group: type[Group]) -> Group:
    """A group of settings, as the environment has them.

    Raises
    ------
    InvalidInput
        Names the first variable that is missing or wrong; never its value, which may be a secret.
    """
    try:
        return group()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        variable = f"{group.model_config.get('env_prefix', '')}{'_'.join(map(str, first['loc']))}".upper()
        # a validator's own words, without pydantic's before them
        wrong = first.get("ctx", {}).get("error") or first["msg"]
        what = "is not set; see the reference of settings" if first["type"] == "missing" else f"is wrong: {wrong}"
        raise InvalidInput(f"{variable} {what}", field=variable) from None


class DatabaseSettings(BaseSettings):
    """Where our tables are."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    database_url: SecretStr = Field(description="postgresql://user:password@host/name")
    database_pool_size: PositiveInt = 10


class ShareSettings(BaseSettings):
    """Fair share; the dispatcher goes by it, the API explains it."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    shares: str = Field("", description='JSON: what organisations or Scopes get, {"org_a": 3, "org_b-campaign-*": 1}')
    shares_window_hours: float = Field(24.0, gt=0, le=24 * 31, description="how far back what they used counts")

    @field_validator("shares")
    @classmethod
    def _check_shares(cls, document: str) -> str:
        if document.strip():
            Shares.from_json(document)
        return document

    @property
    def fair_share(self) -> Shares | None:
        """What the two settings say; ``None`` if it is off."""
        if not self.shares.strip():
            return None
        return Shares.from_json(self.shares, timedelta(hours=self.shares_window_hours))


class ObjectStoreSettings(BaseSettings):
    """Where results are kept."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    object_store: Path = Field(description="a folder for results and checkpoints")


class LossSettings(BaseSettings):
    """What becomes of a Task whose attempt is lost; the API and the dispatcher both find that out."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    max_losses: PositiveInt = Field(5, description="after so many lost attempts in a row a Task is in error")
    loss_delay_seconds: float = Field(10.0, ge=0, description="rest after a first loss; doubled with each in a row")
    loss_delay_max_seconds: float = Field(600.0, ge=0, description="no rest is longer")

    @property
    def back_off(self) -> BackOff:
        """The two delays."""
        return BackOff(timedelta(seconds=self.loss_delay_seconds), timedelta(seconds=self.loss_delay_max_seconds))


class HostSettings(LossSettings):
    """Which hosts are refused Tasks."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    host_failures: int = Field(
        3, ge=0, description="so many different Tasks fail on a host before it is banned; 0: none is"
    )
    host_window_seconds: float = Field(21600.0, gt=0, le=31e6, description="how far back failures count")
    host_ban_seconds: float = Field(300.0, gt=0, le=31e6, description="the first ban; each in a row is twice as long")
    host_ban_max_seconds: float = Field(21600.0, gt=0, le=31e6, description="no ban is longer")
    # less than `domain.reconcile.RUN_GRACE`
    host_hold_seconds: float = Field(300.0, ge=0, le=540, description="a refused flow run keeps its place for so long")
    host_avoidances: int = Field(3, ge=0, description="so often in a row a Task is refused where it failed before")

    @property
    def host_policy(self) -> HostPolicy:
        """What these settings say."""
        return HostPolicy(
            self.host_failures,
            timedelta(seconds=self.host_window_seconds),
            timedelta(seconds=self.host_ban_seconds),
            timedelta(seconds=self.host_ban_max_seconds),
            timedelta(seconds=self.host_hold_seconds),
            self.host_avoidances,
            self.back_off,
        )


class ApiSettings(HostSettings, ShareSettings):
    """The API server."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    jwt_secret: SecretStr = Field(description="signs the tokens; the same for every replica; 32 characters or more")
    jwt_accepted_secrets: SecretStr = Field(
        SecretStr(""), description="further secrets whose tokens are good, separated by commas: to change jwt_secret"
    )
    jwt_expire_seconds: PositiveInt = 1800
    identity_cache_seconds: float = Field(
        5.0, ge=0, description="after so long a change of an identity counts for tokens that are out"
    )
    max_body_bytes: PositiveInt = Field(256 * 1024**2, description="of a request, compressed or not")
    max_token_requests_per_minute: PositiveInt = Field(60, description="refused logins of an identity")
    max_token_requests_per_address_per_minute: PositiveInt = Field(300, description="refused logins from an address")
    trusted_proxies: str = Field(
        "", description="addresses and networks, separated by commas, whose X-Forwarded-For is believed"
    )
    lease_seconds: float = Field(90.0, gt=0, description="a run that is silent for this long has lost its Task")

    @field_validator("jwt_accepted_secrets")
    @classmethod
    def _check_accepted(cls, secrets: SecretStr) -> SecretStr:
        # it would be taken for secrets with these characters in them, and no token be good
        if secrets.get_secret_value().lstrip().startswith(("[", "{", '"')):
            raise ValueError("it must be secrets separated by commas, not JSON")
        return secrets

    def jwt_secrets(self) -> tuple[str, ...]:
        """The secret that signs, then those that are accepted too."""
        accepted = (secret.strip() for secret in self.jwt_accepted_secrets.get_secret_value().split(","))
        return (self.jwt_secret.get_secret_value(), *(secret for secret in accepted if secret))

    @property
    def lease(self) -> timedelta:
        """`lease_seconds` as a duration."""
        return timedelta(seconds=self.lease_seconds)


class DispatchSettings(LossSettings, ShareSettings):
    """The dispatcher."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    pool: str = Field("alchemiscale", description="the Prefect work pool")
    deployment: str = Field("run-task/alchemiscale", description="<flow>/<deployment> of that pool")
    buffer: PositiveInt = Field(4, description="flow runs kept scheduled beyond what runs")
    max_in_flight: PositiveInt = Field(100, description="flow runs scheduled and running together")
    dispatch_interval_seconds: float = Field(5.0, gt=0, description="the poll behind the notifications")
    start_timeout_seconds: float = Field(
        900.0, gt=0, description="a flow run that a worker took and that has not begun after this long is lost"
    )


class ReconcileSettings(DispatchSettings):
    """Holding tables, Prefect and object store against each other."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    orphan_days: float = Field(7.0, ge=1, description="bytes that no row names are deleted after so long")


class StrategySettings(BaseSettings):
    """Performing Strategies."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_", frozen=True)

    strategy_min_interval_seconds: float = Field(
        300.0, ge=0, le=31e6, description="of a Strategy's `sleep_interval`, what is shorter counts as this"
    )
    strategy_parallel: PositiveInt = Field(4, description="networks whose Strategies one flow run performs at once")
    strategy_timeout_seconds: float = Field(
        1800.0, gt=0, le=31e6, description="a Strategy that has not answered after so long has failed"
    )
    strategy_memory_gib: float | None = Field(
        None, ge=0.25, le=2**20, description="memory that a Strategy may take; what the machine has if not given"
    )


class ComputeFields(BaseModel):
    """What can be set for compute flow runs, in the environment and in the Prefect block alike."""

    api_url: str = Field(description="address of the API")
    identifier: str = Field(description="a compute identity")
    key: SecretStr = Field(description="its key")
    shared_basedir: Path = Field(description="units of one ProtocolDAG pass files here; kept until the Task finishes")
    scratch_basedir: Path = Field(description="of one unit; emptied when it ends")
    n_retries: int = Field(3, ge=0, description="further tries of a ProtocolUnit that fails")
    retry_delay_seconds: float = Field(1.0, ge=0, description="wait before each of them")
    max_parallel_units: PositiveInt = Field(2, description="ProtocolUnits of one flow run at once")
    cpu_slots: PositiveInt | None = Field(
        None, description="CPUs that the units of one flow run may take together; those that it may use if not given"
    )
    gpu_slots: int = Field(1, ge=0, description="GPUs that the units of one flow run may take together")
    unit_cpu_slots: int = Field(1, ge=0, description="taken by a ProtocolUnit that does not say how many")
    unit_gpu_slots: int = Field(0, ge=0, description="taken by a ProtocolUnit that does not say how many")
    require_gpu: bool = Field(False, description="a host without a GPU that works gives its Tasks back")
    gpus: str = Field(
        "auto",
        min_length=1,
        description="for flow runs: auto, none, or indices or UUIDs of GPUs; a scheduler's choice goes before",
    )
    gpus_per_run: PositiveInt = Field(1, description="GPUs that a flow run gets as its own")
    runs_per_gpu: PositiveInt | None = Field(
        None, description="flow runs that share a GPU at most; as many as there are if not given, spread evenly"
    )
    gpu_wait_seconds: float = Field(60.0, ge=0, description="for a GPU to come free, before the Task is given back")
    gpu_lock_dir: Path | None = Field(
        None,
        description="the host's locks of its GPUs; alchemiscale-gpus in the folder for temporary files if not given",
    )
    mps: Literal["auto", "on", "off"] = Field(
        "auto", description="CUDA MPS; auto: where several flow runs share a GPU and it is installed"
    )
    mps_thread_percentage: int | None = Field(
        None, ge=1, le=100, description="of a GPU's threads for one flow run; 200 / RUNS_PER_GPU if not given"
    )
    min_free_mb: int = Field(
        500, ge=0, description="with less room in the shared or the scratch folder no ProtocolUnit starts"
    )
    unit_scratch_mb: int = Field(
        0, ge=0, description="a ProtocolUnit with more in its scratch directory fails; 0: no limit"
    )
    checkpoint_files_mb: int = Field(
        1000, ge=0, description="what a ProtocolUnit leaves in its shared directory is sent to the API, up to so much"
    )
    heartbeat_seconds: float = Field(10.0, gt=0, description="time between renewals of the lease")
    termination_grace_seconds: float = Field(20.0, gt=0, description="from SIGTERM to the hard exit of a run")
    image: str | None = Field(None, description="of the container that flow runs are in")
    end_time: AwareDatetime | None = Field(
        None, description="when the host is taken away; ISO 8601 with a time zone, or seconds since 1970"
    )
    walltime_seconds: float | None = Field(
        None, gt=0, description="how long a flow run may last; Slurm's limit is known without it"
    )
    walltime_margin_seconds: float = Field(
        60.0, ge=0, description="kept free before that end: a ProtocolUnit that would reach into it is not started"
    )
    unit_seconds: float = Field(
        0.0, ge=0, description="how long a ProtocolUnit is taken to run of whose class none has finished"
    )

    @property
    def capacity(self) -> Slots:
        """What the units of one flow run may take together."""
        return Slots(self.cpu_slots or usable_cpus(), self.gpu_slots)

    def need(self, unit: TakesSlots) -> Slots:
        """What a unit takes: what it says, or what is set for those that do not say."""
        cpus = self.unit_cpu_slots if unit.cpu_slots is None else unit.cpu_slots
        return Slots(cpus, self.unit_gpu_slots if unit.gpu_slots is None else unit.gpu_slots)


class ComputeSettings(ComputeFields, BaseSettings):
    """Inside a compute flow run."""

    model_config = SettingsConfigDict(env_prefix="ALCHEMISCALE_COMPUTE_", frozen=True)

    # not for the block: each host has another
    host: str | None = Field(None, description="the machine's name, where that of the process says nothing")
