using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Quotas;

namespace SignSvc.Emulation.Wire;

/// <summary>Who calls: the account comes from the access key, the Region from the credential scope.</summary>
internal sealed record Caller(string AccessKeyId, string AccountId, string Region, string PrincipalArn);

/// <summary>One request on its way through an operation.</summary>
internal sealed record Call(
    string Operation,
    Caller Caller,
    Parameters In,
    World World,
    RequestQuotas Quotas,
    DateTimeOffset Now)
{
    /// <summary>
    /// Takes one token of a quota. Use of another account's key is charged to the caller, as AWS does.
    /// </summary>
    /// <exception cref="KmsException">ThrottlingException.</exception>
    public void Charge(string family)
    {
        if (!Quotas.TryTake(Caller.AccountId, Caller.Region, family))
            throw KmsException.Throttling();
    }

    /// <summary>Answers a dry run once all but the operation itself has been done.</summary>
    public void StopIfDryRun()
    {
        if (In.Flag("DryRun"))
            throw new KmsException(
                "DryRunOperationException",
                "The request would have succeeded, but the DryRun option is set.");
    }
}
