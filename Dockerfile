# One static binary on an empty image.
#
#   docker build -t cadreen .
#   docker run -p 8080:8080 -v cadreen-data:/data -e CADREEN_BACKEND_URL=https://api.openai.com/v1 -e CADREEN_BACKEND_API_KEY cadreen
#
# The image holds no shell, so there is no HEALTHCHECK: probe GET /healthz (alive) and GET /readyz (store and model) from outside.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /out/cadreen ./cmd/cadreen \
 && mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/cadreen /cadreen
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
# Every interface of the container. The backend has to be named then: a URL, or `rehearsal` for the built-in rehearsal model.
# There is no /tmp; `cadreen demo` and large sorts of SQLite make their files in the volume.
ENV CADREEN_LISTEN=0.0.0.0:8080 \
    CADREEN_STORE_URL=sqlite:/data/cadreen.db \
    TMPDIR=/data
EXPOSE 8080
ENTRYPOINT ["/cadreen"]
CMD ["serve"]
