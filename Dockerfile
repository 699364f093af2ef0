# syntax=docker/dockerfile:1
# SignSvc as an image: no shell, no package manager, not root, nothing to write but /data.
#
#   docker build -t signsvc:0.1.0 --build-arg REVISION=$(git rev-parse HEAD) .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -v signsvc:/data -p 8080:8080 -p 8081:8081 signsvc:0.1.0
#
# The bases are pinned to a version. Pin them to what you have checked: --build-arg RUNTIME=…/aspnet@sha256:…
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0.401-noble
ARG RUNTIME=mcr.microsoft.com/dotnet/aspnet:10.0.12-noble-chiseled

FROM ${SDK} AS build
WORKDIR /src
COPY . .
RUN ["dotnet", "publish", "src/SignSvc", "-c", "Release", "-o", "/out", "--use-current-runtime", "--no-self-contained", "-p:CI=true", "-p:RestoreLockedMode=true", "-p:UseAppHost=false"]
RUN ["mkdir", "/data"]

FROM ${RUNTIME} AS run
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="SignSvc" \
      org.opencontainers.image.description="One service that signs: artifacts and tokens, by keys in HSMs or in memory, on record before they leave." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="mcr.microsoft.com/dotnet/aspnet:10.0.12-noble-chiseled"
COPY --from=build /out /app
COPY --from=build --chown=1654:1654 /data /data

# Diagnostics want a socket in /tmp, which is read-only here. Standard output is collected: the first administrator's
# token is not printed, it stands in /data/bootstrap.credential. /metrics asks for a credential: loopback means little here.
ENV SIGNSVC_DATA=/data \
    ASPNETCORE_URLS=http://*:8080 \
    SignSvc__Grpc__Url=http://*:8081 \
    SignSvc__PrintBootstrapCredential=false \
    SignSvc__Telemetry__Metrics=Role \
    SignSvc__Telemetry__Log=Json \
    DOTNET_EnableDiagnostics=0 \
    DOTNET_gcServer=0
VOLUME ["/data"]
EXPOSE 8080 8081
# "app" of the chiseled images; a mounted folder has to belong to it.
USER 1654:1654
WORKDIR /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["dotnet", "/app/SignSvc.dll", "--healthcheck"]
ENTRYPOINT ["dotnet", "/app/SignSvc.dll"]
