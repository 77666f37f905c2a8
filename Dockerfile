# One image for every service; CARAVAN_SERVICE says which one a container is. It holds no secret.

FROM python:3.13-slim AS packages
# otel instead of run: spans are sent to where OTEL_EXPORTER_OTLP_ENDPOINT says.
ARG REQUIREMENTS=run
COPY requirements/$REQUIREMENTS.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --prefix=/packages -r /tmp/requirements.txt

FROM python:3.13-slim
ARG SERVICE=order
ENV CARAVAN_SERVICE=$SERVICE \
    CARAVAN_BIND=0.0.0.0:8000 \
    CARAVAN_HEALTH_URL=http://127.0.0.1:8000/readyz \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home caravan \
 && install --directory --owner caravan --mode 0700 /var/lib/caravan
COPY --from=packages /packages /usr/local
WORKDIR /app
COPY shared shared
COPY services services
COPY deploy deploy
# Compiled here, as the user below may write nothing.
RUN python -m compileall -q shared services deploy
USER caravan
EXPOSE 8000
# The first success counts at once; on a small machine they all start together, and slowly.
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(os.environ['CARAVAN_HEALTH_URL'], timeout=5)"]
CMD ["sh", "-c", "exec gunicorn -c deploy/gunicorn.conf.py \"services.$CARAVAN_SERVICE.app:create_app()\""]
