"""Protocols of published numbers: what was compared with what, each field with its source.

A distance between two sets of videos depends on every field below, so a number without its protocol
cannot be compared with another. The fields were read in the public code that a source names (its
repository, file and function); "not stated" marks what neither the code nor the paper's page says,
and what stands in such a field is a choice of ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOT_STATED = "not stated"
CHOICES = ("first", "middle", "random", "windows", "split")
COVARIANCES = ("unbiased", "biased")
LEVELS = ("rounded", "truncated")
CROPS = ("centre", "none")
FILTERS = ("bilinear", "bilinear-tf1", "bilinear-antialiased", "bicubic", "area", "lanczos")
I3D_SHA256 = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"


@dataclass(frozen=True)
class Protocol:
    """How clips are chosen, what is done to their pixels, and how features become a number.

    Args:
        name: what a result is called; empty for none.
        clips: clips of each set; None takes all.
        repeats: groups of `clips` clips; the number is the mean over them.
        frames: frames of a clip.
        reference_stride, generated_stride: every how many frames of a video one is taken.
        reference_choice, generated_choice: which clips of a video are candidates: its "first"
            frames, the "middle", a "random" place, all "windows" (overlapping), or the video
            "split" into clips that follow each other.
        shuffled: whether `clips` candidates are drawn at random; else the first by name are taken,
            of videos that are split the first clip of each before the second of any.
        whole_strides: a video needs frames x stride frames, and not only those up to the last one
            that is taken.
        context_frames: frames at the start of a generated clip that are given, not generated; they
            lie in the clips of both sets and count.
        size: side of the square that clips are brought to first, or height and width; None keeps
            their size.
        crop: "centre" cuts the middle square of a picture; "none" squeezes the whole into one.
        crop_first: whether the square is cut before the picture is scaled.
        resize: filter of that step, see `evaluation.clips.resize`.
        levels: how the result becomes whole numbers from 0 to 255: "rounded" or "truncated".
        network_size: side of the pictures that the network of FVD and KVD gets.
        network_resize: filter of that second step.
        network_crop: as `crop`, in that step.
        value_range: what 0 and 255 become for the network.
        feature_layer: which layer's output the distance is of, in words.
        covariance: "unbiased" divides by N - 1, "biased" by N.
        split: which part of the data set is the reference, in words.
        classes: how classes are balanced, in words.
        seed: of every random choice.
        network_sha256: of the network's file, if the source publishes one; empty otherwise.
        sources: field -> where it says so.
    """

    name: str = ""
    clips: int | None = None
    repeats: int = 1
    frames: int = 16
    reference_stride: int = 1
    generated_stride: int = 1
    reference_choice: str = "split"
    generated_choice: str = "split"
    shuffled: bool = False
    whole_strides: bool = False
    context_frames: int = 0
    size: int | tuple[int, int] | None = None
    crop: str = "centre"
    crop_first: bool = False
    resize: str = "bilinear"
    levels: str = "rounded"
    network_size: int = 224
    network_resize: str = "bilinear"
    network_crop: str = "none"
    value_range: tuple[float, float] = (-1.0, 1.0)
    feature_layer: str = "as the network's file returns it"
    covariance: str = "unbiased"
    split: str = "the folder that is given"
    classes: str = "as they lie in the folder"
    seed: int = 0
    network_sha256: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))
        for name in ("repeats", "frames", "reference_stride", "generated_stride", "network_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("clips", "size"):
            value = getattr(self, name)
            sides = value if isinstance(value, tuple) else (value,)
            if value is not None and min(sides) < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        for name, allowed in (
            ("reference_choice", CHOICES),
            ("generated_choice", CHOICES),
            ("covariance", COVARIANCES),
            ("levels", LEVELS),
            ("crop", CROPS),
            ("network_crop", CROPS),
            ("resize", FILTERS),
            ("network_resize", FILTERS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}"
                )

    def settings(self) -> dict[str, Any]:
        """All fields but the sources, as JSON holds them."""
        values = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            if item.name != "sources"
        }
        return values | {"value_range": list(self.value_range)}

    def with_changes(self, **options: Any) -> Protocol:
        """This protocol with the options that are not None in place of its fields."""
        given = {name: value for name, value in options.items() if value is not None}
        return dataclasses.replace(self, **given)


def find_protocol(name: str | None) -> Protocol:
    """A shipped protocol by name; without one all clips are used. ValueError for another name."""
    if name is None:
        return Protocol()
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def changes(protocol: Protocol) -> dict[str, list[Any]]:
    """Field -> [what the shipped protocol of this name says, what stands here]."""
    if protocol.name not in PROTOCOLS:
        return {}
    before = PROTOCOLS[protocol.name].settings()
    now = protocol.settings()
    return {name: [before[name], now[name]] for name in now if now[name] != before[name]}


# ---- what papers name ----

_V = "universome/stylegan-v, src/"
_V_FVD = _V + "metrics/frechet_video_distance.py, compute_fvd"
_V_MAIN = _V + "metrics/metric_main.py, fvd2048_16f"
_V_DATA = _V + "training/dataset.py, VideoFramesFolderDataset"
_V_STATS = _V + "metrics/metric_utils.py, "
_LATTE_FRAMES = "Vchitect/Latte, tools/convert_videos_to_frames.py, process_video"
STYLEGAN_V = Protocol(
    name="stylegan-v",
    clips=2048,
    frames=16,
    reference_choice="random",
    generated_choice="first",
    whole_strides=True,
    size=256,
    crop_first=True,
    resize="lanczos",
    covariance="biased",
    split="train + test of UCF-101, train of other sets",
    feature_layer="400 outputs before the softmax (return_features=True)",
    network_sha256=I3D_SHA256,
    sources={
        "clips": _V_MAIN + ": max_real=2048, num_gen=2048; a smaller set is used whole",
        "repeats": _V + "metrics/metric_main.py, calc_metric: num_runs=1",
        "frames": _V_MAIN + ": num_frames=16",
        "reference_stride": _V_FVD + ": subsample_factor=1",
        "generated_stride": _V_FVD + ": subsample_factor=1",
        "reference_choice": _V_DATA + ": load_n_consecutive_random_offset=True, one a video",
        "generated_choice": _V_FVD + ": load_n_consecutive_random_offset=False",
        "shuffled": _V_STATS + "compute_feature_stats_for_dataset: items 0, 1, ... in order",
        "whole_strides": _V_DATA + ": discard_short_videos, frames x subsample_factor",
        "context_frames": "none: clips are generated without a context",
        "size": "universome/stylegan-v, README: data sets of 256 x 256; 128 to 1024 are supported",
        "crop": _LATTE_FRAMES + " (kept from StyleGAN-V): center_crop",
        "crop_first": _LATTE_FRAMES + ": center_crop, then resize",
        "resize": _LATTE_FRAMES + ": Image.LANCZOS, then JPEG of quality 95",
        "levels": _LATTE_FRAMES + ": Pillow rounds",
        "network_size": "224, inside the TorchScript file (resize=True)",
        "network_resize": NOT_STATED + " outside the TorchScript file (resize=True); bilinear here",
        "network_crop": NOT_STATED + " outside the TorchScript file; the whole picture here",
        "value_range": _V_FVD + ": rescale=True, which is x / 255 * 2 - 1 "
        "(universome/fvd-comparison, issue 4)",
        "feature_layer": _V_FVD + ": return_features=True, before the softmax",
        "covariance": _V_STATS + "FeatureStats.get_mean_cov: the sum over N",
        "split": "universome/stylegan-v, issue 30: the set that the model was trained on",
        "classes": NOT_STATED + " (issue 46 asks)",
        "seed": NOT_STATED,
        "network_sha256": "of the file that compute_fvd names, as several repositories pin it",
    },
)

LATTE = dataclasses.replace(
    STYLEGAN_V,
    name="latte",
    reference_stride=3,
    sources=dict(STYLEGAN_V.sources)
    | {
        "reference_stride": "Vchitect/Latte, tools/metrics/frechet_video_distance.py, compute_fvd: "
        "realdata_subsample_factor=3",
        "generated_stride": "the same: gendata_subsample_factor=1",
        "size": "Vchitect/Latte, tools/eval_metrics.sh: --resolution 256",
        "split": "Vchitect/Latte, issue 103: the split that the model was trained on",
        "classes": NOT_STATED,
    },
)

_GPT = "wilson1yan/VideoGPT, "
_GPT_FVD = _GPT + "videogpt/fvd/fvd.py, "
_GPT_RUN = _GPT + "scripts/compute_fvd.py, eval_fvd"
_GPT_DATA = _GPT + "videogpt/data.py, "
VIDEOGPT = Protocol(
    name="videogpt",
    clips=256,
    repeats=4,
    frames=16,
    reference_choice="windows",
    generated_choice="first",
    shuffled=True,
    size=64,
    levels="truncated",
    network_crop="centre",
    value_range=(-0.5, 0.5),
    feature_layer="400 outputs of InceptionI3d, before the softmax",
    split="test",
    sources={
        "clips": _GPT_RUN + ": 256 of each are asserted",
        "repeats": _GPT + "scripts/compute_fvd.py: --n_trials 4, mean and deviation",
        "frames": "16, the sequence_length of its models (README)",
        "reference_stride": _GPT_DATA + "VideoDataset: VideoClips with steps of 1",
        "generated_stride": _GPT_RUN + ": samples are taken as they are",
        "reference_choice": _GPT_DATA + "VideoDataset: VideoClips, every window of every video",
        "generated_choice": _GPT_RUN + ": samples are taken as they are",
        "shuffled": _GPT_DATA + "VideoData: shuffle=True",
        "whole_strides": "without effect at a stride of 1",
        "context_frames": _GPT_RUN + ": as the model was trained (1 for BAIR)",
        "size": "64, the resolution of its models (README)",
        "crop": _GPT_DATA + "preprocess: the shorter side is scaled, then a centre crop",
        "crop_first": _GPT_DATA + "preprocess: scaled first",
        "resize": _GPT_DATA + "preprocess: bilinear, align_corners=False, not antialiased",
        "levels": _GPT_RUN + ": (x * 255).astype('uint8')",
        "network_size": _GPT_FVD + "preprocess: target_resolution=224",
        "network_resize": _GPT_DATA + "preprocess: bilinear, align_corners=False",
        "network_crop": _GPT_DATA + "preprocess: a centre crop",
        "value_range": _GPT_DATA + "preprocess: video -= 0.5, so from -0.5 to 0.5",
        "feature_layer": _GPT_FVD + "get_logits",
        "covariance": _GPT_FVD + "cov: 1 / (N - 1)",
        "split": _GPT_DATA + "test_dataloader: the folder test",
        "classes": "not balanced: windows are drawn at random",
        "seed": NOT_STATED,
        "network_sha256": "i3d_pretrained_400.pt; its hash is " + NOT_STATED,
    },
)

_TATS = "songweige/TATS, "
_TATS_FVD = _TATS + "tats/fvd/fvd.py, "
_TATS_RUN = _TATS + "scripts/sample_vqgan_transformer_short_videos.py"
_TATS_DATA = _TATS + "tats/data.py, "
TATS = Protocol(
    name="tats-ucf101",
    clips=2048,
    frames=16,
    reference_choice="windows",
    generated_choice="first",
    shuffled=True,
    size=128,
    levels="truncated",
    feature_layer="400 outputs of InceptionI3d, before the softmax",
    split="train",
    classes="2,048 // 101 + 1 samples of every class, then 2,048 of all at random",
    sources={
        "clips": _TATS_RUN + ": the first 2048 of each",
        "repeats": _TATS_RUN + ": one",
        "frames": _TATS_RUN + ": reshape(-1, 3, 16, 128, 128)",
        "reference_stride": _TATS_DATA + "VideoData: sample_every_n_frames=1",
        "generated_stride": _TATS_RUN + ": samples are taken as they are",
        "reference_choice": _TATS_DATA + "VideoDataset: VideoClips, every window of every video",
        "generated_choice": _TATS_RUN + ": samples are taken as they are",
        "shuffled": _TATS_DATA + "VideoData: shuffle=True",
        "whole_strides": "without effect at a stride of 1",
        "context_frames": "none: clips are generated without a context",
        "size": _TATS_RUN + ": 128 x 128",
        "crop": _TATS_DATA + "preprocess: the shorter side is scaled, then a centre crop",
        "crop_first": _TATS_DATA + "preprocess: scaled first",
        "resize": _TATS_DATA + "preprocess: bilinear, align_corners=False, not antialiased",
        "levels": _TATS_RUN + ": (x * 255).astype(np.uint8) and .byte()",
        "network_size": _TATS_FVD + "TARGET_RESOLUTION",
        "network_resize": _TATS_FVD + "preprocess: bilinear, align_corners=False",
        "network_crop": _TATS_FVD + "preprocess: the whole picture",
        "value_range": _TATS_FVD + "preprocess: 2 x / 255 - 1",
        "feature_layer": _TATS_FVD + "get_logits",
        "covariance": _TATS_FVD + "cov: 1 / (N - 1)",
        "split": _TATS_RUN + ": data.train_dataloader()",
        "classes": _TATS_RUN + ": n_sample // class_cond_dim + 1 of each",
        "seed": NOT_STATED,
        "network_sha256": "i3d_pretrained_400.pt; its hash is " + NOT_STATED,
    },
)

_M = "google-research/magvit, videogvt/"
_M_FRECHET = _M + "train_lib/frechet_distance.py, "
_M_UCF = _M + "configs/maskgvt_ucf101_config.py"
_M_BAIR = _M + "configs/maskgvt_bair_config.py"
_M_EVAL = _M + "train_lib/eval_utils.py, EVAL_DATASET_INFO"
_TFGAN = "tensorflow_gan, frechet_classifier_distance_from_activations: N / (N - 1)"
MAGVIT = Protocol(
    name="magvit-ucf101",
    clips=10_000,
    repeats=4,
    frames=16,
    reference_choice="random",
    generated_choice="first",
    shuffled=True,
    size=128,
    network_resize="bilinear-tf1",
    feature_layer="LogitsMean: 400 logits, mean over time",
    split="train",
    sources={
        "clips": _M_UCF + ": eval.num_examples = 10000",
        "repeats": _M_UCF + ": eval.final_num_repeats = 4",
        "frames": _M_UCF + ": dataset_configs.num_frames = 16",
        "reference_stride": _M_UCF + ": dataset_configs.stride = 1",
        "generated_stride": _M_UCF + ": dataset_configs.stride = 1",
        "reference_choice": NOT_STATED + " (the loader is outside the repository); random here",
        "generated_choice": "samples are taken as they are",
        "shuffled": NOT_STATED + "; drawn at random here",
        "whole_strides": "without effect at a stride of 1",
        "context_frames": "none: class-conditional",
        "size": _M_UCF + ": image_size = 128",
        "crop": _M_UCF + ": min_resize and crop_size of 128",
        "crop_first": _M_UCF + ": min_resize, then crop_size",
        "resize": NOT_STATED + " (the loader is outside the repository); bilinear here",
        "levels": NOT_STATED + "; rounded here",
        "network_size": _M_FRECHET + "I3D: 224 x 224",
        "network_resize": _M + "train_lib/metrics_lib.py, resize_bilinear: as TensorFlow 1 does",
        "network_crop": _M_FRECHET + "I3D: resize_crop=False",
        "value_range": _M_FRECHET + "I3D: x * 2 - 1 of [0, 1]",
        "feature_layer": _M_FRECHET + "run_frechet_distance: logits_mean",
        "covariance": _TFGAN,
        "split": _M_UCF + ": eval.data_splits = 'train'",
        "classes": NOT_STATED,
        "seed": _M_UCF + ": rng_seed = 0; of the draw " + NOT_STATED,
        "network_sha256": "i3d_k400.flax; its hash is " + NOT_STATED,
    },
)

MAGVIT_RFVD = dataclasses.replace(
    MAGVIT,
    name="magvit-rfvd",
    clips=None,
    repeats=1,
    reference_choice="middle",
    generated_choice="middle",
    split="not stated; its public table names 9,537 train and 3,783 validation videos",
    sources=dict(MAGVIT.sources)
    | {
        "clips": NOT_STATED
        + " in what is public (the base config is missing); "
        + _M_EVAL
        + " names 9,537 and 3,783 examples; all here",
        "repeats": _M_EVAL + ": num_repeats = 4 random passes; one fixed pass here",
        "reference_choice": NOT_STATED + "; the middle of every video here, the same of both sets",
        "generated_choice": NOT_STATED + "; a reconstruction is compared with its own clip here",
        "context_frames": "none: reconstruction",
        "split": NOT_STATED,
    },
)

BAIR = Protocol(
    name="bair",
    clips=25_600,
    frames=16,
    reference_choice="windows",
    generated_choice="first",
    shuffled=True,
    context_frames=1,
    size=64,
    network_resize="bilinear-tf1",
    feature_layer="LogitsMean: 400 logits, mean over time",
    split="the 256 test videos",
    sources={
        "clips": _M_EVAL + ": 256 * 100; " + _M_BAIR + ": num_examples of 256 * 10, times 10",
        "repeats": _M_EVAL + ": num_repeats = 1 (" + _M_BAIR + " says final_num_repeats = 4)",
        "frames": _M_BAIR + ": dataset_configs.num_frames = 16",
        "reference_stride": _M_BAIR + ": dataset_configs.stride = 1",
        "generated_stride": _M_BAIR + ": dataset_configs.stride = 1",
        "reference_choice": _M_BAIR + ": num_eval_clips = 15, 16 frames out of 30",
        "generated_choice": "samples are taken as they are",
        "shuffled": NOT_STATED + "; drawn at random here (3,840 windows of 256 videos are there)",
        "whole_strides": "without effect at a stride of 1",
        "context_frames": _M_BAIR + ": cond_frames = 1; whether it counts for the distance differs "
        "(Tobi-r9/RaMViD, issue 9: it does; google-research/fitvid, issue 3: it does not)",
        "size": _M_BAIR + ": image_size = 64",
        "crop": "without effect: videos are 64 x 64",
        "crop_first": "without effect: videos are 64 x 64",
        "resize": "without effect: videos are 64 x 64",
        "levels": "without effect: videos are 64 x 64",
        "network_size": _M_FRECHET + "I3D: 224 x 224",
        "network_resize": _M + "train_lib/metrics_lib.py, resize_bilinear: as TensorFlow 1 does",
        "network_crop": _M_FRECHET + "I3D: resize_crop=False",
        "value_range": _M_FRECHET + "I3D: x * 2 - 1 of [0, 1]",
        "feature_layer": _M_FRECHET + "run_frechet_distance: logits_mean",
        "covariance": _TFGAN,
        "split": _M_EVAL + ": split 'validation', 256 videos",
        "classes": "none",
        "seed": NOT_STATED,
        "network_sha256": "i3d_k400.flax; its hash is " + NOT_STATED,
    },
)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (STYLEGAN_V, VIDEOGPT, TATS, LATTE, MAGVIT, MAGVIT_RFVD, BAIR)
}
