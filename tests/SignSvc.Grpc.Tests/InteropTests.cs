namespace SignSvc.Grpc.Tests;

/// <summary>The cases of gRPC's interoperability tests, and some of our own, on unmodified client libraries.</summary>
public sealed class InteropTests(GrpcServer server) : IClassFixture<GrpcServer>
{
    [Theory]
    [InlineData("empty_unary")]
    [InlineData("large_unary")]
    [InlineData("largest_unary")]
    [InlineData("too_large_request")]
    [InlineData("too_large_response")]
    [InlineData("client_streaming")]
    [InlineData("server_streaming")]
    [InlineData("ping_pong")]
    [InlineData("empty_stream")]
    [InlineData("cancel_after_begin")]
    [InlineData("cancel_after_first_response")]
    [InlineData("timeout_on_sleeping_server")]
    [InlineData("custom_metadata")]
    [InlineData("repeated_binary_metadata")]
    [InlineData("status_code_and_message")]
    [InlineData("special_status_message")]
    [InlineData("unimplemented_method")]
    [InlineData("unimplemented_service")]
    [InlineData("client_compressed_unary")]
    [InlineData("server_compressed_unary")]
    [InlineData("client_compressed_streaming")]
    [InlineData("server_compressed_streaming")]
    [InlineData("server_deadline")]
    [InlineData("error_details")]
    [InlineData("many_at_once")]
    [InlineData("reflection")]
    public Task The_case_holds_on_grpc_js(string name) => InteropClients.NodeAsync(server.Target, name);

    [Theory]
    [InlineData("empty_unary")]
    [InlineData("large_unary")]
    [InlineData("client_streaming")]
    [InlineData("server_streaming")]
    [InlineData("ping_pong")]
    [InlineData("empty_stream")]
    [InlineData("cancel_after_begin")]
    [InlineData("cancel_after_first_response")]
    [InlineData("timeout_on_sleeping_server")]
    [InlineData("custom_metadata")]
    [InlineData("status_code_and_message")]
    [InlineData("special_status_message")]
    [InlineData("unimplemented_method")]
    [InlineData("unimplemented_service")]
    [InlineData("client_compressed_unary")]
    [InlineData("deflate_is_refused")]
    [InlineData("server_compressed_unary")]
    [InlineData("server_compressed_streaming")]
    [InlineData("error_details")]
    [InlineData("huge_details_are_left_out")]
    [InlineData("trailers_of_a_failure")]
    [InlineData("health")]
    public Task The_case_holds_on_grpcio(string name)
    {
        server.Health.Set("grpc.testing.TestService", serving: true);
        return InteropClients.PythonAsync(server.Target, name);
    }

    [Fact]
    public Task A_Unix_socket_serves_as_well() => InteropClients.PythonAsync($"unix:{server.UnixSocket}", "ping_pong");

    [Fact]
    public Task An_abstract_socket_serves_as_well() => InteropClients.PythonAsync($"unix-abstract:{server.AbstractSocket}", "ping_pong");
}
