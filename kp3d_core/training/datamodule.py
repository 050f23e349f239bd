"""Training and validation batches from rendered folders."""

from __future__ import annotations

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader

from kp3d_core.data.memory import RandomBatches, ViewSet, ViewTensors, load_views
from kp3d_core.data.photographs import read_photographs
from kp3d_core.data.sharing import Share
from kp3d_core.training.stage import TrainingCamera


class ShardDataModule(L.LightningDataModule):
    """Rendered folders as Lightning's source of batches."""

    def __init__(
        self,
        train: str = "data/car/train",
        val: str = "data/car/val",
        input_size: int = 64,
        source_size: int | None = None,
        objects_per_batch: int = 16,
        views_per_object: int = 4,
        steps_per_epoch: int = 200,
        val_batches: int = 25,
        seed: int = 0,
        gpu_cache_gb: float = 16.0,
        backgrounds: str | None = None,
        background_size: int = 160,
        cache: str | None = None,
    ) -> None:
        """Remember where the views are; they are read at the start of a run.

        Args:
            train: folder of training views, made by `kp3d render`.
            val: folder of validation views.
            input_size: side of the network's input [px].
            source_size: side at which training views are held in memory [px], at least the input's;
                larger ones stay sharp when reframed. The input's if None.
            objects_per_batch: B, over all processes that train together.
            views_per_object: V; losses between views use every pair of them.
            steps_per_epoch: an epoch is a unit of validation and checkpoints, not of data.
            val_batches: batches of the validation set, the same each time.
            seed: of the choice of objects and views.
            gpu_cache_gb: sets up to this size are held on the GPU [GB] and cost the step nothing;
                batches of larger ones are sent to it.
            backgrounds: folder of photographs, at any depth, that augmentation puts behind and
                before the objects; made-up scenes only if None.
            background_size: side at which photographs are held in memory [px]; at least the
                input's, better twice.
            cache: folder on a fast disk to decode the training views into, once, and to map them
                from: for sets larger than memory. Batches are the same ones. None: memory.
        """
        super().__init__()
        # In checkpoints, not in the log beside the model's: both have a `seed`, and may differ.
        self.save_hyperparameters(logger=False)
        self.train_folder = train
        self.val_folder = val
        self.input_size = input_size
        self.source_size = source_size or input_size
        if self.source_size < input_size:
            raise ValueError(
                f"source_size must be at least input_size {input_size}, got {source_size}."
            )
        self.objects_per_batch = objects_per_batch
        self.views_per_object = views_per_object
        self.steps_per_epoch = steps_per_epoch
        self.val_batches = val_batches
        self.seed = seed
        self.gpu_cache_gb = gpu_cache_gb
        self.background_folder = backgrounds
        self.background_size = background_size
        self.cache = cache
        self._photographs: Tensor | None = None
        self._train: ViewSet | None = None
        self._val: ViewSet | None = None
        self._tensors: dict[str, ViewTensors] = {}

    def setup(self, stage: str) -> None:
        """Decode both folders once."""
        if self._train is not None:
            return
        self._train = load_views(self.train_folder, self.source_size, cache=self.cache)
        self._val = load_views(self.val_folder, self.input_size)
        if self._train.category != self._val.category:
            raise ValueError(
                f"train and val must hold the same category, got {self._train.category!r} and "
                f"{self._val.category!r}."
            )
        if self.background_folder is not None:
            self._photographs = _read_backgrounds(self.background_folder, self.background_size)
        common = set(self._train.keys) & set(self._val.keys)
        if common:
            raise ValueError(
                f"train and val must not share instances, got {len(common)} in both, for example "
                f"{min(common)}. Render val with --split val."
            )

        if self._train.symmetry != self._val.symmetry:
            raise ValueError(
                "train and val must be of one symmetry, got "
                f"{self._train.symmetry} and {self._val.symmetry}. Render both from one list."
            )

    @property
    def training_camera(self) -> TrainingCamera:
        """Camera that defines apparent size 1, at the input size."""
        assert self._val is not None
        return TrainingCamera(
            self._val.training_focal_px, self._val.training_distance, self.input_size
        )

    @property
    def train_views(self) -> ViewSet:
        """Training views at the size at which they are held."""
        assert self._train is not None
        return self._train

    @property
    def photographs(self) -> Tensor | None:
        """Scenes for augmentation, (P, 3, S, S) uint8, if there is a folder of them; on the GPU."""
        if self._photographs is not None and self.trainer is not None:
            self._photographs = self._photographs.to(self.trainer.strategy.root_device)
        return self._photographs

    @property
    def category(self) -> str:
        """What the objects are."""
        assert self._train is not None
        return self._train.category

    @property
    def symmetry(self) -> str:
        """Of the objects about z."""
        assert self._train is not None
        return self._train.symmetry

    @property
    def landmark_names(self) -> tuple[str, ...]:
        """Of the landmarks in training batches, in their order."""
        assert self._train is not None
        return self._train.landmark_names

    def train_dataloader(self) -> DataLoader:
        """Batches of the current epoch; reloaded each epoch, so that a resumed run continues."""
        assert self._train is not None
        assert self.trainer is not None
        epoch = self.trainer.global_step // self.steps_per_epoch
        epoch_seed = self.seed * 1_000_003 + epoch
        return self._loader("train", self._train, self.steps_per_epoch, epoch_seed)

    def val_dataloader(self) -> DataLoader:
        """The same batches every time."""
        assert self._val is not None
        return self._loader("val", self._val, self.val_batches, seed=1)

    def _loader(self, name: str, views: ViewSet, num_batches: int, seed: int) -> DataLoader:
        """Batches made by the training process itself: a batch is an index into memory."""
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        if name not in self._tensors:
            fits = views.rgba.nbytes <= self.gpu_cache_gb * 1e9
            self._tensors[name] = ViewTensors.of(views, device if fits else None)
        batches = RandomBatches(
            views,
            num_batches,
            self.objects_per_batch,
            self.views_per_object,
            seed,
            Share(self.trainer.global_rank, self.trainer.world_size),
            self._tensors[name],
        )
        sent = self._tensors[name].rgba.device != device
        return DataLoader(batches, batch_size=None, pin_memory=sent)


def _read_backgrounds(folder: str, size: int) -> Tensor:
    found = read_photographs(folder, size)
    for file, reason in found.skipped:
        rank_zero_warn(f"{file} is left out of the backgrounds: {reason}.")
    return torch.from_numpy(found.images)
