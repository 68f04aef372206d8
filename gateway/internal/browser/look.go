package browser

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Phone and Desktop are the widths that pages are looked at in.
var (
	Phone   = chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch)
	Desktop = chromedp.EmulateViewport(1280, 900)
)

// WithoutScript turns scripts off in the pages of ctx from now on.
func WithoutScript(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return chromedp.Void{}, err
}

// control are the roles of what somebody operates or is led by.
var control = map[string]bool{
	"button": true, "link": true, "textbox": true, "radio": true, "checkbox": true, "combobox": true, "spinbutton": true,
	"Date": true, "radiogroup": true, "group": true, "heading": true, "RootWebArea": true,
}

// Nameless lists what a screen reader could not tell of the page of ctx: controls, groups and
// headings without a name, each by its role; and it gives how many have one. A page without
// any heading or without a main part is told as well.
func Nameless(t testing.TB, ctx context.Context) (nameless []string, named int) {
	t.Helper()
	tree, err := chromedp.Run(ctx, chromedp.Action[accessibility.GetFullAXTreeResult](func(ctx context.Context, target *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	}))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, node := range tree.Nodes {
		if node.Ignored || node.Role == nil {
			continue
		}
		role := plain(node.Role)
		seen[role]++
		if !control[role] {
			continue
		}
		if plain(node.Name) == "" {
			nameless = append(nameless, role)
		} else {
			named++
		}
	}
	for _, role := range []string{"heading", "main"} {
		if seen[role] == 0 {
			nameless = append(nameless, fmt.Sprintf("there is no %s among %v", role, seen))
		}
	}
	return nameless, named
}

// plain is a value of the tree without its quotes.
func plain(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	text := string(v.Value)
	if len(text) >= 2 && text[0] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}
