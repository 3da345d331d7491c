/** What stands open under a station or a chat: loaded after the page has started, apart from its shell. */

export { default as SignInCard } from '../accounts/SignInCard.svelte';
export { default as ApprovalCard } from '../approvals/ApprovalCard.svelte';
export { default as SessionActions } from './SessionActions.svelte';
export { default as StationDetails } from './StationDetails.svelte';
