"""The catalog of data sets that can be prepared: files, splits, source and license.

URLs, sizes and checksums of the files are those of TensorFlow Datasets 4.9.10 (``url_checksums``
and ``checksums.tsv``); a test compares them.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from jaxcnn.data.preparation import formats


@dataclass(frozen=True)
class File:
    """A published file of a data set.

    Attributes:
      url: Its URL.
      size: Its length in bytes.
      sha256: Its checksum, in hexadecimal.
    """

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the URL, the name of the downloaded file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Split:
    """A split of a data set.

    Attributes:
      images: Number of images.
      read: Read that number of images and their labels from the folder that holds the files.
    """

    images: int
    read: Callable[[Path, int], formats.Contents]


@dataclass(frozen=True)
class Entry:
    """The entry of a data set in the catalog.

    Attributes:
      title: Its subject, in a few words.
      image_shape: ``(H, W, C)`` of an image.
      classes: Number of classes.
      splits: The splits by name.
      files: The files to download.
      homepage: URL of the authors' description.
      license: The terms stated by the authors.
      id_digits: Number of digits in the id of an example, such as 5 in ``train_00042``; 0 where
        examples have no id.
      class_names: Read the class names of each kind of label from the folder that holds the
        files, if the files have them.
    """

    title: str
    image_shape: tuple[int, int, int]
    classes: int
    splits: Mapping[str, Split]
    files: tuple[File, ...]
    homepage: str
    license: str
    id_digits: int = 0
    class_names: Callable[[Path], dict[str, list[str]]] = lambda folder: {}

    @property
    def images(self) -> int:
        """The number of images in all splits."""
        return sum(split.images for split in self.splits.values())

    @property
    def download_size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


def _mnist_like(
    title: str, folder: str, published: Mapping[str, tuple[int, str]], homepage: str, license: str
) -> Entry:
    """Return the entry of a set in MNIST's form; `published` has its files' sizes and checksums."""
    return Entry(
        title=title,
        image_shape=(28, 28, 1),
        classes=10,
        splits={
            split: Split(
                images,
                partial(
                    formats.read_idx,
                    images=f"{prefix}-images-idx3-ubyte.gz",
                    labels=f"{prefix}-labels-idx1-ubyte.gz",
                ),
            )
            for split, prefix, images in (("train", "train", 60_000), ("test", "t10k", 10_000))
        },
        files=tuple(File(folder + name, *facts) for name, facts in published.items()),
        homepage=homepage,
        license=license,
    )


def _emnist(title: str, config: str, *, classes: int, train: int, test: int) -> Entry:
    """Return the entry of one of the sets in EMNIST's archive."""

    def split(name: str, images: int) -> Split:
        member = f"gzip/emnist-{config}-{name}"
        return Split(
            images,
            partial(
                formats.read_idx,
                images=f"{member}-images-idx3-ubyte.gz",
                labels=f"{member}-labels-idx1-ubyte.gz",
                archive="gzip.zip",
            ),
        )

    return Entry(
        title=title,
        image_shape=(28, 28, 1),
        classes=classes,
        splits={"train": split("train", train), "test": split("test", test)},
        files=(
            File(
                "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
                561_753_746,
                "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
            ),
        ),
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        license="none stated; made from NIST Special Database 19",
    )


def _cifar(
    title: str,
    file: File,
    folder: str,
    *,
    classes: int,
    train: tuple[str, ...],
    test: str,
    names: Mapping[str, str],
) -> Entry:
    """Return the entry of CIFAR-10 or CIFAR-100; `names` has a file of class names per label."""
    read = partial(formats.read_cifar, archive=file.name, labels=tuple(names))
    return Entry(
        title=title,
        image_shape=(32, 32, 3),
        classes=classes,
        splits={
            "train": Split(50_000, partial(read, members=[f"{folder}/{name}" for name in train])),
            "test": Split(10_000, partial(read, members=[f"{folder}/{test}"])),
        },
        files=(file,),
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        license="none stated; cite Krizhevsky, 2009",
        id_digits=5,
        class_names=partial(
            formats.read_cifar_names,
            archive=file.name,
            members={label: f"{folder}/{name}" for label, name in names.items()},
        ),
    )


_SVHN = "http://ufldl.stanford.edu/housenumbers/"

CATALOG: Mapping[str, Entry] = MappingProxyType(
    {
        "mnist": _mnist_like(
            "handwritten digits",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            {
                "train-images-idx3-ubyte.gz": (
                    9_912_422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                "train-labels-idx1-ubyte.gz": (
                    28_881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                "t10k-images-idx3-ubyte.gz": (
                    1_648_877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    4_542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            },
            "http://yann.lecun.com/exdb/mnist/",
            "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        ),
        "fashion_mnist": _mnist_like(
            "articles of clothing",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            {
                "train-images-idx3-ubyte.gz": (
                    26_421_880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                ),
                "train-labels-idx1-ubyte.gz": (
                    29_515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                ),
                "t10k-images-idx3-ubyte.gz": (
                    4_422_102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    5_148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
            },
            "https://github.com/zalandoresearch/fashion-mnist",
            "MIT, Zalando SE",
        ),
        "kmnist": _mnist_like(
            "cursive Japanese characters",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            {
                "train-images-idx3-ubyte.gz": (
                    18_165_135,
                    "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                ),
                "train-labels-idx1-ubyte.gz": (
                    29_497,
                    "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                ),
                "t10k-images-idx3-ubyte.gz": (
                    3_041_136,
                    "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    5_120,
                    "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                ),
            },
            "http://codh.rois.ac.jp/kmnist/index.html.en",
            "CC BY-SA 4.0, Center for Open Data in the Humanities",
        ),
        # The 26 letters are the classes 1…26. The builder of TensorFlow Datasets takes the first so
        # many images, whatever more the file has.
        "emnist/letters": _emnist(
            "handwritten letters", "letters", classes=37, train=88_800, test=14_800
        ),
        "emnist/digits": _emnist(
            "handwritten digits", "digits", classes=10, train=240_000, test=40_000
        ),
        "cifar10": _cifar(
            "photographs of animals and vehicles",
            File(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
            "cifar-10-batches-bin",
            classes=10,
            train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            test="test_batch.bin",
            names={"label": "batches.meta.txt"},
        ),
        "cifar100": _cifar(
            "photographs of a hundred kinds of objects",
            File(
                "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
            "cifar-100-binary",
            classes=100,
            train=("train.bin",),
            test="test.bin",
            names={"coarse_label": "coarse_label_names.txt", "label": "fine_label_names.txt"},
        ),
        "svhn_cropped": Entry(
            title="digits of house numbers",
            image_shape=(32, 32, 3),
            classes=10,
            splits={
                split: Split(images, partial(formats.read_svhn, file=f"{split}_32x32.mat"))
                for split, images in (("train", 73_257), ("test", 26_032), ("extra", 531_131))
            },
            files=(
                File(
                    _SVHN + "train_32x32.mat",
                    182_040_794,
                    "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                ),
                File(
                    _SVHN + "test_32x32.mat",
                    64_275_384,
                    "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
                ),
                File(
                    _SVHN + "extra_32x32.mat",
                    1_329_278_602,
                    "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
                ),
            ),
            homepage=_SVHN,
            license="for non-commercial use only",
            id_digits=6,
        ),
    }
)


def available() -> list[str]:
    """Return the names of the data sets that :func:`prepare` can download.

    >>> available()[:3]
    ['mnist', 'fashion_mnist', 'kmnist']
    """
    return list(CATALOG)


def command(name: str, data_dir: str | Path | None = None) -> str:
    """Return the shell command that prepares a data set.

    >>> command("mnist", "my data")
    "jaxcnn data prepare mnist --data-dir 'my data'"

    Args:
      name: One of :func:`available`.
      data_dir: Folder of the data sets; ``None`` means the default.
    """
    where = [] if data_dir is None else ["--data-dir", str(data_dir)]
    return shlex.join(["jaxcnn", "data", "prepare", name, *where])
