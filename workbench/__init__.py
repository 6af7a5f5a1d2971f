"""Ground floor of the workbench: configuration, feature tables, files, runtime and console.

Nothing here knows a backbone, a model or a metric, and nothing here imports torch when it is imported.
"""

import os

# Threads that wait for work should soon sleep, not spin. Read by OpenMP when torch is loaded, hence here, before it is.
# On two busy cores a spinning pair of threads made an epoch of small steps 40 times slower, a sleeping pair did not. To
# sleep at once costs a third of the speed of small steps on idle cores; after some microseconds, next to nothing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
