module github.com/grpcpipe/grpcpipe/examples/prometheus

go 1.26.0

replace github.com/grpcpipe/grpcpipe => ../..

require github.com/grpcpipe/grpcpipe v0.0.0-00010101000000-000000000000

require github.com/prometheus/client_golang v1.25.0 // indirect
