# VideoPath on CPU: the pages by default, any command of `videopath` instead. docs/how-to/containers.md says how.
# No weights are inside but the bundled nano; a larger model is a folder that you mount.

FROM python:3.11-slim AS build

# Where torch comes from: the CPU builds are a tenth of the size of those with CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=postgres,mcp,telemetry,metrics,served

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/videopath
ENV PATH=/opt/videopath/bin:$PATH

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY agent agent/
COPY app app/
COPY core core/
COPY dataset dataset/
COPY evaluation evaluation/
COPY knowledge knowledge/
COPY media media/
COPY model model/
COPY tools tools/
COPY training training/
COPY src src/
# decord's wheel may not be passed on (docs/reference/licences.md); PyAV reads the same frames.
RUN pip install --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch \
    && pip install -c constraints.txt ".[$EXTRAS]" \
    && pip uninstall --yes decord

FROM python:3.11-slim

LABEL org.opencontainers.image.title="VideoPath" \
      org.opencontainers.image.description="Diagnosis of pathology videos step by step. Research use only, no medical device." \
      org.opencontainers.image.licenses="Apache-2.0"

RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin videopath \
    && install -d -o videopath -g videopath -m 0700 /data \
    && install -d /videos
COPY --from=build /opt/videopath /opt/videopath

ENV PATH=/opt/videopath/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    VIDEOPATH_HOME=/data \
    VIDEOPATH_FOLDERS=/videos
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

# 0.0.0.0 is inside the container only: publish the port on 127.0.0.1, as compose.yaml does.
ENTRYPOINT ["videopath"]
CMD ["app", "--host", "0.0.0.0", "--port", "8501"]
