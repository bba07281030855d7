# pgflow-stress with its embedded server, set up as `scripts/stress` does it anywhere.
#   docker build -t pgflow-stress . && docker run --rm -v "$PWD/results:/results" pgflow-stress run chain -o /results/chain
# The arena is anonymous memory: no larger /dev/shm is needed. perf, ptrace and pinning take the rights that they take.
FROM python:3.13-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libpq-dev git npm \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home stress
USER stress
WORKDIR /home/stress/pgflow-stress
COPY --chown=stress . .
RUN scripts/stress --version
WORKDIR /home/stress
ENTRYPOINT ["pgflow-stress/scripts/stress"]
