# syntax=docker/dockerfile:1
# The tests' stand-in for AWS KMS as an image, to try the AWS tier without an account. Not for production: it keeps private keys in a file.
#
#   docker build -t signsvc-kms-emulator:0.1.0 -f deploy/image/kms-emulator.Dockerfile .
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0.401-noble
ARG RUNTIME=mcr.microsoft.com/dotnet/aspnet:10.0.12-noble-chiseled

FROM ${SDK} AS build
WORKDIR /src
COPY . .
RUN ["dotnet", "publish", "tests/SignSvc.KmsEmulator", "-c", "Release", "-o", "/out", "--no-self-contained", "-p:CI=true", "-p:RestoreLockedMode=true", "-p:UseAppHost=false"]
RUN ["mkdir", "/state"]

FROM ${RUNTIME} AS run
COPY --from=build /out /app
COPY --from=build --chown=1654:1654 /state /state
ENV DOTNET_EnableDiagnostics=0
VOLUME ["/state"]
EXPOSE 8180
USER 1654:1654
WORKDIR /state
STOPSIGNAL SIGTERM
ENTRYPOINT ["dotnet", "/app/SignSvc.KmsEmulator.dll", "--url", "http://0.0.0.0:8180", "--state", "/state/kms.json"]
