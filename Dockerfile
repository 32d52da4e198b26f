# The image of `fretsaw run`; it has the other commands, too.
#
#   docker build --tag REGISTRY/fretsaw:0.1.0 .
#
# The base is named by its tag. To build on one that cannot change, name its digest:
#   --build-arg PYTHON=python:3.13-slim-trixie@sha256:…
ARG PYTHON=python:3.13-slim-trixie

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# What runs: wheels only, each checked against its hash, in an environment without pip.
COPY requirements-run.lock ./
RUN python -m venv --without-pip /opt/fretsaw \
 && python -m pip --python /opt/fretsaw/bin/python install --require-hashes --only-binary=:all: \
      --requirement requirements-run.lock

# What builds, checked alike. The lock file is the one of `make demo`, which builds the package as well.
COPY requirements.lock ./
RUN python -m venv tools \
 && tools/bin/python -m pip install --require-hashes --only-binary=:all: --requirement requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN tools/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/fretsaw/bin/python install --no-deps --no-index dist/fretsaw-*.whl \
 && /opt/fretsaw/bin/fretsaw run --print-settings

FROM ${PYTHON}
LABEL org.opencontainers.image.title="fretsaw" \
      org.opencontainers.image.description="A GPU-first node autoscaler for Kubernetes on AWS that speaks Karpenter's API" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/fretsaw /opt/fretsaw
# Bytecode was written when the wheels were installed; the root file system may be read-only.
ENV PATH=/opt/fretsaw/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["fretsaw"]
