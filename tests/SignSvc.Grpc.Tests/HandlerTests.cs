using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Options;
using SignSvc.Grpc.Tests.Interop;

namespace SignSvc.Grpc.Tests;

/// <summary>What a host or a handler does wrong is told to it at once.</summary>
public sealed class HandlerTests
{
    [Fact]
    public void A_handler_for_a_method_that_the_service_does_not_have_is_refused() =>
        AssertRefused(m => m.Unary<Empty, Empty>("Emptycall", (_, _) => ValueTask.FromResult(new Empty())), "has no method");

    [Fact]
    public void A_handler_of_another_kind_is_refused() =>
        AssertRefused(
            m => m.Unary<StreamingOutputCallRequest, StreamingOutputCallResponse>("FullDuplexCall", (_, _) => throw new InvalidOperationException()),
            "streams otherwise");

    [Fact]
    public void A_handler_of_other_messages_is_refused() =>
        AssertRefused(m => m.Unary<Empty, Empty>("UnaryCall", (_, _) => ValueTask.FromResult(new Empty())), "takes grpc.testing.SimpleRequest");

    [Fact]
    public void A_second_handler_is_refused() =>
        AssertRefused(
            m => m.Unary<Empty, Empty>("EmptyCall", (_, _) => ValueTask.FromResult(new Empty()))
                .Unary<Empty, Empty>("EmptyCall", (_, _) => ValueTask.FromResult(new Empty())),
            "two handlers");

    [Fact]
    public async Task Limits_that_are_not_positive_stop_the_start()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddGrpc(o => o.MaxResponseBytes = 0);
        await using var app = builder.Build();

        await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("x-name", "line\nbreak")]
    [InlineData("x-name", "☺")]
    [InlineData("X-Name", "upper")]
    [InlineData("grpc-status", "0")]
    [InlineData("content-type", "text/plain")]
    [InlineData("x-bytes-bin", "text")]
    [InlineData("", "nameless")]
    public void Metadata_that_the_wire_cannot_carry_is_refused(string name, string value) =>
        Assert.ThrowsAny<ArgumentException>(() => new ResponseMetadata().Append(name, value));

    [Fact]
    public void Bytes_need_a_name_of_bytes() =>
        Assert.Throws<ArgumentException>(() => new ResponseMetadata().Append("x-bytes", [1, 2]));

    [Fact]
    public void OK_is_no_failure() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new GrpcException(StatusCode.Ok, "fine"));

    [Theory]
    [InlineData("plain text ~", "plain text ~")]
    [InlineData("50%\r\n", "50%25%0D%0A")]
    [InlineData("é☺😈", "%C3%A9%E2%98%BA%F0%9F%98%88")]
    public void Messages_are_percent_encoded(string message, string encoded) =>
        Assert.Equal(encoded, Wire.StatusHeaders.EncodeMessage(message));

    [Fact]
    public void A_long_message_is_cut_between_characters()
    {
        var encoded = Wire.StatusHeaders.EncodeMessage(new string('x', 1023) + "😈");

        Assert.Equal(new string('x', 1023), encoded);
    }

    private static void AssertRefused(Action<GrpcMethods> register, string reason)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddGrpc();
        var app = builder.Build();
        var refusal = Assert.Throws<ArgumentException>(() => app.MapGrpcService(TestReflection.Descriptor.Services[0], register));
        Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
    }
}
