# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
WORKDIR /src
# docker build --build-arg EXTRAS='[otel]' … for traces
ARG EXTRAS=
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt ./
COPY app ./app
COPY migrations ./migrations
RUN python -m venv /opt/outdial \
    && /opt/outdial/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".$EXTRAS"

FROM python:3.13-slim
# The database of a container without settings; mount a volume there, or point OUTDIAL_DATABASE_URL at PostgreSQL.
RUN useradd --system --uid 10001 --no-create-home outdial && install -d -o outdial -g outdial /data
COPY --from=build /opt/outdial /opt/outdial
ENV PATH=/opt/outdial/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OUTDIAL_DATABASE_URL=sqlite:////data/outdial.db \
    OUTDIAL_LOG_FORMAT=json
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
# `docker run … migrate` brings a PostgreSQL schema up to date; serve on SQLite does so by itself.
ENTRYPOINT ["outdial"]
CMD ["serve", "--host", "0.0.0.0"]
