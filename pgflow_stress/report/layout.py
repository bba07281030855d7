"""Names inside a result directory.

result.json                                     the result
report.html                                     the same for people
timings/repetition-RR-part-PPP.parquet          a row an event
telemetry.parquet                               a row a point of telemetry, of all repetitions
histograms/OPERATION.hgrm                       percentile distribution of the counted repetitions, ms
histograms/latencies.hlog                       HdrHistogram log, an interval per repetition and operation, ns

Several scenarios: a folder each, NN-name/, and index.json. A sweep: sweep.json and report.html beside them.
"""

RESULT_FILE = "result.json"
INDEX_FILE = "index.json"
REPORT_FILE = "report.html"
SWEEP_FILE = "sweep.json"
TIMINGS = "timings"
TELEMETRY_FILE = "telemetry.parquet"
HISTOGRAMS = "histograms"
LOG_FILE = "latencies.hlog"
