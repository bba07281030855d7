"""Names inside a result directory.

result.json                                     the result
report.html                                     the same for people
timings/repetition-RR-part-PPP.parquet          a row an event
telemetry.parquet                               a row a point of telemetry, of all repetitions
call-graphs-RR.speedscope.json                  of `profile`, where perf is there: a repetition's, for speedscope
histograms/OPERATION.hgrm                       percentile distribution of the counted repetitions, ms
histograms/latencies.hlog                       HdrHistogram log, an interval per repetition and operation, ns
histograms/counts.parquet                       of one host among several: every bucket that was counted, exactly

Of several hosts together the timings are repetition-RR-HOST-part-PPP.parquet, and hosts/RR-HOST.json is each one's own
result, from repetition RR on.

Several scenarios: a folder each, NN-name/, and index.json. A sweep: sweep.json and report.html beside them.
"""

RESULT_FILE = "result.json"
INDEX_FILE = "index.json"
REPORT_FILE = "report.html"
SWEEP_FILE = "sweep.json"
TIMINGS = "timings"
TELEMETRY_FILE = "telemetry.parquet"
CALL_GRAPHS = "call-graphs-{:02d}.speedscope.json"
HISTOGRAMS = "histograms"
LOG_FILE = "latencies.hlog"
COUNTS_FILE = "counts.parquet"
HOSTS = "hosts"
