namespace SignSvc.Cli.Tests;

public sealed class BackupTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task A_backup_lands_in_a_new_private_file_and_overwrites_none()
    {
        var file = _signsvc.Folder.At("signsvc.backup");

        var taken = (await _signsvc.RunAsync("backup", file)).Ended(0);

        Assert.Contains("restore --check", taken.Text, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.True(new FileInfo(file).Length > 1000);
        var before = File.ReadAllBytes(file);
        Assert.Contains("cannot be written", (await _signsvc.RunAsync("backup", file)).Ended(2).Errors, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(file));
    }

    [Fact]
    public async Task A_refused_backup_leaves_no_file()
    {
        var file = _signsvc.Folder.At("refused.backup");

        (await _signsvc.RunAsync("backup", file, "--url", "http://127.0.0.1:9")).Ended(4);

        Assert.False(File.Exists(file));
    }
}
