/** Where a sign-in begins: a page of the orchestrator's that leads on to the provider's. */

export function signInHref(server: string, capability?: string, account?: string): string {
	const query = new URLSearchParams();
	if (capability) query.set('capability', capability);
	if (account) query.set('account', account);
	const asked = query.toString();
	return `/oauth/${encodeURIComponent(server)}/start${asked ? `?${asked}` : ''}`;
}
