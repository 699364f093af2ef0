namespace SignSvc.Tests;

/// <summary>What ends soon.</summary>
internal static class Expiring
{
    /// <summary>Five seconds from now on, or more where the machine is so slow that it would have ended before it was made.</summary>
    public static async Task<(JsonAnswer Made, DateTimeOffset At)> MakeAsync(Func<DateTimeOffset, Task<JsonAnswer>> make)
    {
        for (var seconds = 5; ; seconds *= 2)
        {
            var at = TimeProvider.System.GetUtcNow().AddSeconds(seconds);
            var made = await make(at);
            if (made.Code == 400 && TimeProvider.System.GetUtcNow() >= at)
                continue;
            Assert.True(made.Code == 201, $"{made}");
            return (made, at);
        }
    }
}
