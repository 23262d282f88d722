"""`python -m ops.demo`, which is what `make demo` runs."""

import sys

from ops.demo.run import main

sys.exit(main())
