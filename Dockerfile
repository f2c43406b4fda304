# docker build -t bulk-onboard .
# docker run --rm -it -v "$PWD:/data" --user "$(id -u):$(id -g)" bulk-onboard run growers.csv

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY bulk_onboard bulk_onboard
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir "$(echo /wheels/*.whl)[notify,postgres,s3]"

FROM python:3.13-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH
RUN useradd --uid 10001 --no-create-home --home-dir /data onboard \
    && install --directory --owner onboard --group onboard /data
USER 10001
WORKDIR /data
ENTRYPOINT ["bulk-onboard"]
CMD ["--help"]
