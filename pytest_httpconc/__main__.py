"""``python -m pytest_httpconc`` is the ``httpconc`` command."""

import sys

from pytest_httpconc.cli import main

sys.exit(main())
