# The environment of `make setup` with this project. In the root of a clone:
#   docker build --tag vaebench .
#   docker run --rm --volume "$PWD/results:/vaebench/results" vaebench make smoke
# This recipe was written without a machine to build it on.
FROM python:3.11-slim-bookworm

# A C compiler for packages of the lock that have no wheel; git, which names the version.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /vaebench
COPY . .
# A container may run as a user without a home and a name (`docker run --user`), and writes here.
ENV HOME=/tmp LOGNAME=vaebench
RUN make setup && chmod a+rwx . results
ENV PATH=/vaebench/.venv/bin:$PATH
CMD ["vaebench", "--help"]
