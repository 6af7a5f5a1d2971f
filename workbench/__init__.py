"""Ground floor of the workbench: configuration, feature tables, files, runtime and console.

Nothing here knows a backbone, a model or a metric, and nothing here imports torch when it is imported.
"""

import os

# Threads that wait for work should sleep, not spin. Read by OpenMP when torch is loaded, hence here, before it is.
# On two busy cores a spinning pair of threads made an epoch of small steps 40 times slower, a sleeping pair did not;
# performance/training.py shows what sleeping costs on idle cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
