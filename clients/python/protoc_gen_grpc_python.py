"""The gRPC plugin of grpcio-tools, which brings it compiled into its protoc, as buf calls plugins."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc

request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = plugin_pb2.CodeGeneratorResponse(
    supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
)
with TemporaryDirectory() as folder:
    image = Path(folder, "image.binpb")
    files = descriptor_pb2.FileDescriptorSet(file=request.proto_file)
    image.write_bytes(files.SerializeToString())
    out = Path(folder, "out")
    out.mkdir()
    words = ["protoc", f"--descriptor_set_in={image}", f"--grpc_python_out={out}"]
    if protoc.main([*words, *request.file_to_generate]) != 0:
        sys.exit("protoc_gen_grpc_python: protoc failed")
    for path in sorted(out.rglob("*.py")):
        response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text("utf8"))
sys.stdout.buffer.write(response.SerializeToString())
