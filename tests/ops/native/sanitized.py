"""The search over geometries on a library with a sanitizer: ``python sanitized.py LIBRARY COUNT``.

``test_sanitizers.py`` starts it, with the sanitizer's own library loaded before all others.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from test_kernel_values import check

from jaxcnn.ops.native import kernel_library

if __name__ == "__main__":
    kernel_library.register(Path(sys.argv[1]), "sanitized")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda case: check(case, "sanitized"), range(int(sys.argv[2]))))
    print("searched")
