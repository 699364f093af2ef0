using SignSvc.Embedded;

namespace SignSvc.Tour;

public static class TourGuide
{
    public static string? FileToSign(string[] args) => null;

    public static Task ShowAsync(WebApplication app, EmbeddedNode node, string file) => Task.CompletedTask;
}
