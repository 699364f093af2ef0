namespace SignSvc.Operations.Tests;

/// <summary>A node whose database is busy with others refuses changes for a moment, and has changed nothing then.</summary>
internal static class PatientChanges
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>As a well-behaved caller, who asks again when a 503 says when.</summary>
    public static async Task<JsonAnswer> ChangeAsync(this HttpClient client, string path, string json = "")
    {
        var from = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var answer = await client.PostJsonAsync(path, json);
            if (answer.Code != 503 || answer.Headers.RetryAfter?.Delta is not { } delay || TimeProvider.System.GetElapsedTime(from) + delay > Patience)
                return answer;
            await Task.Delay(delay, TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
