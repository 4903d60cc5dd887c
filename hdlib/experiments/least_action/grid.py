"""The networks of the chapter, in groups that answer one question each."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from hdlib.experiments.least_action.config import LeastActionConfig, Regularizer
from hdlib.experiments.least_action.sizes import LeastActionSizes

SPLIT = 42
"""Seed of the split in the files of sweeps."""
ROUTED: dict[str, Any] = {"model": "routed_transformer"}


class Arm(NamedTuple):
    """One kind of network and training, from every seed.

    Attributes:
        name: what it is called in tables and figures.
        configs: one for each seed.
    """

    name: str
    configs: tuple[LeastActionConfig, ...]


class LeastActionGrid(LeastActionSizes):
    """The networks of the chapter.

    Where nothing else is said they are transformers on a + b, half of the pairs, and differ in what
    their arm's name says.

    Raises:
        ConfigError: if a value is impossible, alone or together with others.
    """

    @property
    def plain(self) -> Arm:
        """The plain transformer, which all others are compared with."""
        return self._arm("plain", followed=True)

    @property
    def followed(self) -> list[Arm]:
        """Arms whose curvature and sensitivity are measured."""
        return [self.plain, self.matched, self.pressed, self.one_hot[0], self.one_hot[2]]

    @property
    def confounds(self) -> list[Arm]:
        """The routed transformer as it was first compared, and with one difference less each time.

        The mask lets later positions through; weights begin as PyTorch draws them; there are as
        many feed-forward networks of full size as heads. The last also with a routing penalty.
        """
        small: dict[str, Any] = ROUTED | {
            "ffn_width": self.matched_width,
            "n_steps": self.routed_steps,
        }
        return [
            self._arm("routed: leaky mask", **ROUTED, mask="leaky", initial="pytorch"),
            self._arm("routed: causal", **ROUTED, initial="pytorch"),
            self._arm("routed: same start", **ROUTED),
            self._arm("routed", followed=True, **small),
            self._arm("routed, entropy", followed=True, **small, **self._entropy),
        ]

    @property
    def narrow(self) -> list[Arm]:
        """The plain transformer with as many hidden units as one routed head, and as all of them.

        Where the routed transformer is as large as the plain one, its feed-forward networks are
        narrower; these tell what is due to that.
        """
        widths = self.matched_width, self.n_heads * self.matched_width
        return [
            self._arm(f"plain, {width} units", ffn_width=width, n_steps=self.routed_steps)
            for width in widths
        ]

    @property
    def matched(self) -> Arm:
        """The routed transformer without any of these differences, its paths free."""
        return self.confounds[-2]

    @property
    def pressed(self) -> Arm:
        """The same, its paths pressed to be decisive."""
        return self.confounds[-1]

    @property
    def lightly_pressed(self) -> list[Arm]:
        """The same network with less pressure on the entropy of its paths."""
        return [arm for arm in self._doses if arm.configs[0].lambda_routing < self.lambda_routing]

    @property
    def hard_pressed(self) -> list[Arm]:
        """With as much or more."""
        return [arm for arm in self._doses if arm not in self.lightly_pressed]

    @property
    def dosed(self) -> list[Arm]:
        """Of the same network more and more pressure; the last in another way."""
        sparse = self._penalised_paths("sparsity", self.lambda_routing, self.dosed_steps)
        return [*self._doses, sparse]

    @property
    def uneven(self) -> Arm:
        """The same network, its paths pressed to be uneven in another way."""
        return self._penalised_paths("gini", self.lambda_routing, self.routed_steps)

    @property
    def consistent(self) -> Arm:
        """The same network, its paths pressed to be those of similar pairs."""
        return self._penalised_paths("consistency", self.lambda_routing, self.routed_steps)

    @property
    def less_consistent(self) -> Arm:
        """The same under less pressure."""
        return self._penalised_paths("consistency", self.lambda_weaker, self.routed_steps)

    @property
    def again(self) -> tuple[Arm, Arm]:
        """The routed transformer with free and with consistent paths, from further seeds."""
        return self._again(self.matched), self._again(self.consistent)

    @property
    def penalised(self) -> list[Arm]:
        """The plain transformer under a penalty on its function."""
        spectral, jacobian = self.lambda_spectral, self.lambda_jacobian
        steps = self.penalised_steps
        return [
            self._arm(f"spectral {spectral:g}", lambda_spectral=spectral, n_steps=steps),
            self._arm(f"Jacobian {jacobian:g}", lambda_jacobian=jacobian, n_steps=steps),
        ]

    @property
    def gates(self) -> list[Arm]:
        """The same with weight decay on the gates and the state that they read."""
        return [self._matched("gates decayed, entropy", decay_gates=True, **self._entropy)]

    @property
    def unordered(self) -> list[Arm]:
        """Plain and routed transformers where no test pair's mirror is a training pair."""
        split: dict[str, Any] = {"unordered": True, "train_fraction": self.unordered_fraction}
        return [
            self._arm("plain, unordered", **split),
            self._matched("routed, unordered", **split),
        ]

    @property
    def cold(self) -> Arm:
        """The plain transformer at the whole learning rate from the first update on."""
        return self._arm("no warm-up", warmup_steps=0)

    @property
    def switches(self) -> list[Arm]:
        """The plain transformer with one setting changed."""
        return [
            self._arm("β₂ 0.999", beta2=0.999),
            self.cold,
            self._arm("clipped at 1", grad_clip=1.0),
            self._arm("softmax in float64", softmax="float64"),
        ]

    @property
    def smaller(self) -> list[Arm]:
        """The plain transformer with other training fractions."""
        return [self._arm(f"{f:.0%} of pairs", train_fraction=f) for f in self.fractions]

    @property
    def both(self) -> list[Arm]:
        """Addition and multiplication in one transformer, plain, routed, and under pressure."""
        fields: dict[str, Any] = {"operation": "both", "n_steps": self.both_steps}
        return [
            self._arm("plain, both", **fields),
            self._matched("routed, both", **fields),
            self._matched("routed, entropy, both", **fields, **self._entropy),
        ]

    @property
    def one_hot(self) -> list[Arm]:
        """Networks on one-hot pairs: plain, of one head, and routed."""
        return [
            self._arm("MLP", model="mlp", followed=True),
            self._arm("one head", model="single_head"),
            self._arm("routed MLP", model="routed", followed=True),
            self._arm("routed MLP, entropy", model="routed", **self._entropy),
        ]

    @property
    def all_decayed(self) -> list[Arm]:
        """The same with weight decay on their first layer, too."""
        kinds: dict[str, dict[str, Any]] = {
            "MLP": {"model": "mlp"},
            "one head": {"model": "single_head"},
            "routed MLP": {"model": "routed"},
            "routed MLP, entropy": {"model": "routed"} | self._entropy,
        }
        return [
            self._arm(
                f"{name}, all decayed", decay_embeddings=True, n_steps=self.dosed_steps, **fields
            )
            for name, fields in kinds.items()
        ]

    @property
    def reported(self) -> list[Arm]:
        """The two-layer transformer of ``sweeps/matched.yaml``."""
        fields: dict[str, Any] = self._sized | {
            "p": self.reported_p,
            "n_steps": self.reported_steps,
            "train_fraction": 0.3,
            "lr": 3e-4,
            "weight_decay": 0.5,
            "warmup_steps": 0,
        }
        return [self._arm(f"plain, p = {self.reported_p}", **fields)]

    @property
    def sweep(self) -> list[Arm]:
        """Transformers over learning rates and weight decays, at a smaller modulus.

        They are those of ``sweeps/transformer.yaml``: seeds differ in the initial weights alone.
        """
        fields: dict[str, Any] = self._sized | {
            "n_steps": self.sweep_steps,
            "log_every": 20 * self.log_every,
            "grad_clip": 1.0,
        }
        return [
            self._arm(f"lr {lr:g}, decay {decay:g}", **fields, lr=lr, weight_decay=decay)
            for lr in self.sweep_lrs
            for decay in self.sweep_decays
        ]

    @property
    def validations(self) -> list[Arm]:
        """The quick checks of ``sweeps/validations.yaml``."""
        fields: dict[str, Any] = self._sized | {"n_steps": self.validation_steps}
        mlp: dict[str, Any] = fields | {"model": "mlp", "weight_decay": 2.0, "warmup_steps": 0}
        return [
            self._arm(f"MLP, p = {self.sweep_p}", **mlp),
            self._arm(f"MLP, p = {self.sweep_p}, all decayed", **mlp, decay_embeddings=True),
            self._arm(
                f"transformer, p = {self.sweep_p}", **fields, weight_decay=1.5, grad_clip=1.0
            ),
        ]

    @property
    def _sized(self) -> dict[str, Any]:
        return {
            "p": self.sweep_p,
            "width": self.sweep_width,
            "data_seed": SPLIT,
            "log_every": 2 * self.log_every,
        }

    @cached_property
    def arms(self) -> list[Arm]:
        """All arms, each once."""
        groups = [
            [self.plain],
            self.confounds,
            self.narrow,
            self.dosed,
            [self.uneven, self.consistent, self.less_consistent, *self.again],
            self.gates,
            self.penalised,
            self.unordered,
            self.switches,
            self.smaller,
            self.both,
            self.one_hot,
            self.all_decayed,
            self.sweep,
            self.validations,
            self.reported,
        ]
        return [arm for group in groups for arm in group]

    @property
    def configs(self) -> list[LeastActionConfig]:
        """Configs of all runs, each once."""
        return list(dict.fromkeys(config for arm in self.arms for config in arm.configs))

    @property
    def _doses(self) -> list[Arm]:
        pressed = Arm(f"entropy {self.lambda_routing:g}", self.pressed.configs)
        others = [
            self._penalised_paths("entropy", dose, self.dosed_steps)
            for dose in self.doses
            if dose != self.lambda_routing
        ]
        return sorted([pressed, *others], key=lambda arm: arm.configs[0].lambda_routing)

    @property
    def _entropy(self) -> dict[str, Any]:
        return self._pressed("entropy", self.lambda_routing)

    def _pressed(self, kind: Regularizer, factor: float) -> dict[str, Any]:
        return {"routing_regularizer": kind, "lambda_routing": factor}

    def _penalised_paths(self, kind: Regularizer, factor: float, n_steps: int) -> Arm:
        pressed = self._pressed(kind, factor)
        return self._matched(f"{kind} {factor:g}", n_steps=n_steps, **pressed)

    def _again(self, arm: Arm) -> Arm:
        """An arm from further seeds: training alone, logged less often for smaller files."""
        unmeasured = dict.fromkeys(("sensitivities", "traces", "spectra", "maps"), 0)
        shared: dict[str, Any] = arm.configs[0].model_dump()
        shared |= unmeasured | {"log_every": 4 * self.log_every}
        seeds: list[dict[str, Any]] = [{"seed": s, "data_seed": s} for s in self.more_seeds]
        return Arm(f"{arm.name}, again", tuple(LeastActionConfig(**(shared | s)) for s in seeds))

    def _matched(self, name: str, **fields: Any) -> Arm:
        fields = {"ffn_width": self.matched_width, "n_steps": self.dosed_steps} | fields
        return self._arm(name, **ROUTED, **fields)

    def _arm(self, name: str, *, followed: bool = False, **fields: Any) -> Arm:
        known = LeastActionConfig.model_fields
        shared: dict[str, Any] = {k: v for k, v in self.model_dump().items() if k in known}
        n_steps = fields.get("n_steps", self.n_steps)
        shared |= dict.fromkeys(("lambda_routing", "lambda_spectral", "lambda_jacobian"), 0.0)
        shared |= {"checkpoint_every": max(1, n_steps // 8)}
        configs = []
        for seed in self.seeds:
            first = seed == self.seeds[0]
            own: dict[str, Any] = {
                "seed": seed,
                "data_seed": seed,
                "sensitivities": self.sensitivities * followed,
                "traces": self.traces * followed,
                "spectra": self.spectra * (followed and first),
                "maps": 2 * followed,
            }
            configs.append(LeastActionConfig(**(shared | own | fields)))
        return Arm(name, tuple(configs))
